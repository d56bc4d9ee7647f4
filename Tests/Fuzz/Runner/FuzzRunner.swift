import CFuzzer
import FuzzTargets
import Glibc

/// Runs libFuzzer over one target: `rkt-fuzz TARGET [OPTION OF LIBFUZZER...] [CORPUS...]`; without arguments lists them.
@main enum FuzzRunner {
    // libFuzzer calls a plain function, from this thread only; set once, before it does.
    nonisolated(unsafe) private static var target = FuzzTarget.all[0]

    static func main() {
        guard CommandLine.argc > 1 else {
            for target in FuzzTarget.all { print(target.name) }
            return
        }
        let name = CommandLine.arguments[1]
        guard let chosen = FuzzTarget.all.first(where: { $0.name == name }) else {
            print("no target \(name)")
            exit(2)
        }
        target = chosen
        // Without the target's name, and with the program's in its place.
        var count = CommandLine.argc - 1
        CommandLine.unsafeArgv[1] = CommandLine.unsafeArgv[0]
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = CommandLine.unsafeArgv + 1
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { bytes, size in
                do {
                    try FuzzRunner.target.run([UInt8](UnsafeBufferPointer(start: bytes, count: size)))
                } catch {
                    // What libFuzzer keeps as a find is what ends the program.
                    fatalError("\(error)")
                }
                return 0
            }
        )
    }
}
