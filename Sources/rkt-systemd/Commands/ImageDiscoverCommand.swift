internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct ImageDiscoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Show where an image and its keys are, by its name.",
        discussion:
            "Asks the page of the name, then those of its parents, for meta tags ac-discovery and ac-discovery-pubkeys. Nothing "
            + "is fetched."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(help: ArgumentHelp("Print json or json-pretty instead of lines.", valueName: "format"))
    var format: PodFormat?

    @Argument(help: ArgumentHelp("The image: NAME[:VERSION][,LABEL=VALUE…].", valueName: "name"))
    var name: String

    func run() throws {
        let found = try ImageDiscovery(
            name,
            insecure: try global.insecure(),
            credentials: UserCredentials.source(directories: global.directories)
        )
        if let format {
            print(try JSONText.encode(DiscoveryDocument(found), format.layout))
        } else {
            print(TerminalText.forOutput(DiscoveryDocument.text(found)), terminator: "")
        }
        guard !found.endpoints.isEmpty else {
            throw RktError(.notFound, "discovery failed for \(name.debugDescription): no endpoints discovered")
        }
    }
}

/// What was discovered, as JSON and as lines.
struct DiscoveryDocument: Encodable {
    struct Endpoint: Encodable {
        let aci: String
        let asc: String
        let page: String?
    }

    struct Key: Encodable {
        let url: String
        let page: String
    }

    struct Attempt: Encodable {
        let page: String
        let problem: String
    }

    let name: String
    let endpoints: [Endpoint]
    let keys: [Key]
    let attempts: [Attempt]

    init(_ found: ImageDiscovery) {
        name = found.name
        endpoints = found.endpoints.map { Endpoint(aci: $0.archive, asc: $0.signature, page: $0.page) }
        keys = found.keys.map { Key(url: $0.location, page: $0.page) }
        attempts = found.attempts.map { Attempt(page: $0.page, problem: $0.problem) }
    }

    /// The lines.
    static func text(_ found: ImageDiscovery) -> String {
        var lines: [String] = []
        for endpoint in found.endpoints {
            lines += ["ACI: \(endpoint.archive)", "ASC: \(endpoint.signature)"]
            lines.append("  by " + (endpoint.page.map { "meta tag ac-discovery of \($0)" } ?? "the name alone"))
        }
        for key in found.keys {
            lines += ["Key: \(key.location)", "  by meta tag ac-discovery-pubkeys of \(key.page)"]
        }
        lines += found.attempts.map { "Tried: \($0.page): \($0.problem)" }
        // Whatever is in a server's words, a line of this is a line.
        return lines.map { line in
            String(
                String.UnicodeScalarView(
                    line.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }
                )
            )
                + "\n"
        }.joined()
    }
}
