internal import ArgumentParser
internal import Pods

struct CatManifestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat-manifest",
        abstract: "Print a pod's manifest."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var selection: PodSelection

    @Flag(inversion: .prefixedNo, help: "Indent the manifest.")
    var prettyPrint = true

    func run() throws {
        let lookup = PodLookup(data: try global.data())
        for text in try selection.texts() {
            let manifest = try lookup.matching(text).manifest()
            print(try ManifestText.text(manifest, name: "the pod manifest", pretty: prettyPrint))
        }
    }
}
