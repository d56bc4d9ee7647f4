internal import ArgumentParser
internal import Diagnostics
internal import ImageStore
internal import Pods

struct ImageVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read images in the store again and tell what is damaged.",
        discussion:
            "Every blob is compared with its digest and, by root, every unpacked layer with what it was unpacked from. What "
            + "is damaged is told with the images and pods that use it, and the exit status is 254. --repair fetches damaged "
            + "blobs again from the registries that their images came from, and unpacks damaged layers again; layers of "
            + "running pods are left alone."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Put right what is damaged.")
    var repair = false

    @Flag(help: "Show no progress.")
    var quiet = false

    @Argument(
        help: ArgumentHelp("The images, by name or by the start of an id; all if there is none.", valueName: "image")
    )
    var images: [String] = []

    func run() throws {
        let verification = try ImageVerification(
            data: try global.data(),
            insecure: try global.insecure(),
            credentials: UserCredentials.source(directories: global.directories)
        )
        let named = try images.map { (text: $0, image: try verification.image(matching: $0)) }
        let wanted = named.isEmpty ? nil : named.map(\.image)
        var found = try check(wanted, verification)
        try tell(found.damages, verification)
        if repair, !found.damages.isEmpty {
            // First what came, then what was unpacked from it: that could not be compared before.
            for isBlob in [true, false]
            where put(right: found.damages.filter { $0.object.isBlob == isBlob }, verification) {
                found = try check(wanted, verification)
            }
        }
        for image in found.images where found.isGood(image) {
            let name = named.first { $0.image.id == image.id }?.text ?? image.displayName
            print(TerminalText.forOutput("successfully verified checksum for image: \"\(name)\" (\"\(image.id)\")"))
        }
        if !found.comparedLayers { say("unpacked layers were not looked at: only root can") }
        if !found.damages.isEmpty { throw ExitCode(ExitStatus.failure) }
    }

    /// Reads all of it again; the progress is gone before anything is said about it.
    private func check(_ images: [ImageRecord]?, _ verification: ImageVerification) throws -> StoreVerification {
        let progress = Progress(Progress.Style.of(2, quiet: quiet)) { StandardError.print($0) }
        defer { progress.close() }
        return try verification.check(images) { item, done, total in
            progress.update(item, done: UInt64(max(done, 0)), total: total.map { UInt64(max($0, 0)) })
        }
    }

    private func say(_ text: String) {
        let isTerminal = TerminalText.isTerminal(2)
        StandardError.print("verify: \(isTerminal ? TerminalText.sanitized(text) : text)\n")
    }

    private func tell(_ damages: [StoreDamage], _ verification: ImageVerification) throws {
        for found in try verification.users(of: damages) {
            let images = found.damage.images.map { "image \"\($0.displayName)\" (\($0.id))" }
            let users = images + found.pods.map { "pod \($0)" }
            let use = users.isEmpty ? "" : "; used by \(users.joined(separator: ", "))"
            say("\(found.damage.object) is damaged: \(found.damage.problem)\(use)")
        }
    }

    /// Repairs what can be repaired, and says whether anything was.
    private func put(right damages: [StoreDamage], _ verification: ImageVerification) -> Bool {
        var isChanged = false
        for damage in damages {
            do {
                try verification.repair(damage)
                isChanged = true
                print("repaired \(damage.object)")
            } catch {
                let report = ErrorReport(command: "verify", debug: global.debug, isTerminal: TerminalText.isTerminal(2))
                StandardError.print(report.text(for: RktError(.failed, "\(damage.object) stays damaged", cause: error)))
            }
        }
        return isChanged
    }
}

extension StoreDamage.Object {
    fileprivate var isBlob: Bool { if case .blob = self { true } else { false } }
}
