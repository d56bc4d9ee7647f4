internal import ArgumentParser
internal import Diagnostics
internal import FoundationEssentials
internal import Pods

/// The flags of every command.
struct GlobalOptions: ParsableArguments {
    @Flag(help: "Print more to standard error: stages with their times, errors with their causes.")
    var debug = false

    @Option(
        help: ArgumentHelp(
            "The data directory (default: what the configuration says, or /var/lib/rkt).",
            valueName: "absolute-directory"
        )
    )
    var dir: String?

    @Option(help: ArgumentHelp("The system's configuration.", valueName: "directory"))
    var systemConfig = "/usr/lib/rkt"

    @Option(help: ArgumentHelp("This machine's configuration.", valueName: "directory"))
    var localConfig = "/etc/rkt"

    @Option(help: ArgumentHelp("The user's configuration.", valueName: "directory"))
    var userConfig: String?

    @Option(
        help: ArgumentHelp(
            "Security features to turn off: none, image, tls, ondisk, http, pubkey, capabilities, paths, seccomp, "
                + "all-fetch, all-run, all.",
            valueName: "list"
        )
    )
    var insecureOptions = "none"

    @Flag(help: "Trust keys that were discovered over https without asking.")
    var trustKeysFromHttps = false

    /// The data directory, absolute: the flag's, or the configuration's.
    func data() throws -> DataDirectory {
        guard let dir else {
            return DataDirectory(path: try PathSettings(directories: directories).data ?? DataDirectory.defaultPath)
        }
        guard !dir.isEmpty else { throw RktError(.invalidArgument, "--dir is empty: it takes an absolute directory") }
        return DataDirectory(path: AbsolutePath.of(dir))
    }

    /// The configuration directories, those that override others behind them.
    var directories: [String] { [systemConfig, localConfig, userConfig].compactMap(\.self) }

    /// The configuration directories that say whom to trust: a user's own does not.
    var keyDirectories: [String] { [systemConfig, localConfig].map(AbsolutePath.of) }

    /// What is not to be enforced.
    func insecure() throws -> InsecureOptions { try Self.insecure(insecureOptions) }

    /// Reads the list that `--insecure-options` takes.
    static func insecure(_ list: String) throws -> InsecureOptions {
        var options: InsecureOptions = []
        var seen: Set<String> = []
        for word in list.lowercased().split(separator: ",").map(String.init) {
            guard let option = InsecureOptions.names.first(where: { $0.0 == word }) else {
                let names = InsecureOptions.names.map(\.0).joined(separator: ", ")
                throw RktError(.invalidArgument, "--insecure-options: \"\(word)\" is none of: \(names)")
            }
            guard seen.insert(word).inserted else {
                throw RktError(.invalidArgument, "--insecure-options: \"\(word)\" is there twice")
            }
            options.formUnion(option.1)
        }
        return options
    }

    /// Where the times of stages go: to standard error with `--debug`.
    func stages(_ command: String) -> StageClock { Self.stages(command, wanted: debug) }

    static func stages(_ command: String, wanted: Bool) -> StageClock {
        guard wanted else { return StageClock(report: nil) }
        return StageClock { name, length in
            let microseconds = length.components.seconds * 1_000_000 + length.components.attoseconds / 1_000_000_000_000
            let tenths = (microseconds + 50) / 100
            StandardError.print("\(command): \(name): \(tenths / 10).\(tenths % 10) ms\n")
        }
    }
}

/// Paths as the user's shell means them.
enum AbsolutePath {
    /// The path, from the working directory if it is relative.
    static func of(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}
