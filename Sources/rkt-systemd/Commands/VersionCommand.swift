internal import ArgumentParser
internal import Manifests
internal import Pods

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the versions of rkt and of the specifications it follows."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    func run() {
        Self.show()
    }

    /// Prints the versions.
    static func show() {
        print(
            """
            rkt Version: \(Installation.version)
            appc Version: 0.8.11
            Swift Version: \(Self.swiftVersion)
            OS/Arch: linux/\(Self.architecture)
            Features: +SYSTEMD +SDJOURNAL
            """
        )
    }

    private static var swiftVersion: String {
        #if swift(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }

    private static var architecture: String {
        #if arch(x86_64)
        "amd64"
        #elseif arch(arm64)
        "aarch64"
        #else
        "unknown"
        #endif
    }
}
