import CLinux
import Confinement
import Glibc
import ImageFixtures
import LinuxOS
import Testing

/// What a process that unpacks could do if an image took it over.
@Suite(.enabled(if: isRoot, "only root can give a process a root of its own"), .timeLimit(.minutes(10)))
struct ConfinementTests {
    @Test func aConfinedProcessReachesNothingButItsDirectory() throws {
        let scratch = try Scratch()
        let root = try Directory.ensure(path: "\(scratch.path)/root")
        // What it could run if it could run anything.
        try root.write("program", Array("#!".utf8), mode: 0o755)
        let report = OwnedFD(taking: rkt_memfd("report"))
        #expect(confinement_try(root.descriptor.rawValue, report.rawValue, 1 << 30) == 0)
        let text = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, pread(report.rawValue, buffer.baseAddress, buffer.count, 0))
        }
        #expect(String(decoding: text, as: UTF8.self) == "confined mounts\n")
    }
}
