import ImageFixtures
import LinuxOS
import Testing

/// Archives that are small and want much, fed to the real program: refused in time, under a ceiling of memory, with
/// nothing changed outside and nothing left in the store.
@Suite(
    .enabled(if: isRoot, "unpacking needs root"),
    .enabled(if: ["python3", "xz", "zstd"].allSatisfy(hasProgram), "python3, xz or zstd is missing"),
    .timeLimit(.minutes(10))
)
struct BombTests {
    @Test func bombsAreRefusedWithinTheirTimeAndMemory() throws {
        let scratch = try Scratch()
        let build = "\(testDirectory)/../.build"
        // What takes long has its test with lower limits (HostileArchiveTests, TarUnpackerTests); `bombs.py RKT` runs all.
        try scratch.shell(
            """
            rkt='\(build)/release/rkt'; test '\(build)/debug/rkt' -ot "$rkt" || rkt='\(build)/debug/rkt'
            python3 -B '\(testDirectory)/Oracle/bombs.py' "$rkt" -gzip -bzip2 -xz -zstd -entries > log 2>&1 || { cat log; exit 1; }
            """
        )
        #expect(try scratch.directory.readText("log").hasSuffix(" 0 complaints\n"))
    }
}
