internal import Synchronization
internal import Testing
@testable internal import rkt_systemd

@Suite struct ProgressTests {
    private final class Output: Sendable {
        private let pieces = Mutex<[String]>([])

        func write(_ text: String) { pieces.withLock { $0.append(text) } }

        var text: String { pieces.withLock { $0.joined() } }

        /// What a terminal shows in the end, for the controls that progress uses.
        var screen: [String] {
            var lines: [String] = []
            var rest = Substring(text)
            while let next = rest.firstIndex(where: { $0 == "\n" || $0 == "\u{1b}" }) {
                if rest[next] == "\n" {
                    lines.append(String(rest[..<next]))
                    rest = rest[rest.index(after: next)...]
                    continue
                }
                let control = rest[next...].prefix { $0 != "A" }
                lines.removeLast(Int(control.dropFirst(2)) ?? 0)
                rest = rest[control.endIndex...].dropFirst("A\r\u{1b}[J".count)
            }
            return lines
        }
    }

    private let output = Output()
    private let start = ContinuousClock.now

    private func progress(_ style: Progress.Style) -> Progress {
        Progress(style) { [output] in output.write($0) }
    }

    @Test func `keeps one line per item on a terminal`() {
        let progress = progress(.terminal(columns: 80))
        let mega: UInt64 = 1 << 20
        progress.update("redis", done: 0, total: 40 * mega, now: start)
        progress.update("nginx", done: 0, total: nil, now: start)
        progress.update("redis", done: 10 * mega, total: 40 * mega, now: start + .seconds(2))
        progress.update("nginx", done: 3 * mega, total: nil, now: start + .seconds(3))
        #expect(output.screen == ["redis  10MiB / 40MiB  25%  5.0MiB/s  6s left", "nginx  3.0MiB  1.0MiB/s"])
    }

    @Test func `leaves messages above the items`() {
        let progress = progress(.terminal(columns: 80))
        progress.update("a", done: 5, total: 10, now: start)
        progress.update("b", done: 1, total: 10, now: start)
        progress.message("image: fetching")
        #expect(output.screen == ["image: fetching", "a  5B / 10B  50%", "b  1B / 10B  10%"])
        progress.close()
        #expect(output.screen == ["image: fetching"])
    }

    @Test func `shows nothing after it was closed`() {
        let progress = progress(.terminal(columns: 80))
        progress.update("a", done: 5, total: 10, now: start)
        progress.close()
        let text = output.text
        progress.update("a", done: 6, total: 10, now: start + .seconds(9))
        progress.close()
        #expect(output.text == text)
        progress.message("still said")
        #expect(output.text == text + "still said\n")
    }

    @Test func `does not draw more often than can be seen`() {
        let progress = progress(.terminal(columns: 80))
        progress.update("a", done: 0, total: 1000, now: start)
        let text = output.text
        for done in 1..<100 { progress.update("a", done: UInt64(done), total: 1000, now: start + .milliseconds(done)) }
        #expect(output.text == text)
        progress.update("a", done: 100, total: 1000, now: start + .milliseconds(100))
        #expect(output.screen == ["a  100B / 1000B  10%"])
    }

    @Test func `prints plain lines elsewhere`() {
        let progress = progress(.lines)
        progress.update("a", done: 0, total: 2048, now: start)
        progress.update("a", done: 1024, total: 2048, now: start + .seconds(5))
        progress.update("a", done: 2048, total: 2048, now: start + .seconds(6))
        progress.message("plain")
        progress.close()
        #expect(output.text == "a: 2.0KiB\nplain\n")
    }

    @Test func `is silent when quiet, but for messages`() {
        let progress = progress(.quiet)
        progress.update("a", done: 0, total: 1, now: start)
        #expect(output.text == "")
        progress.message("said")
        progress.close()
        #expect(output.text == "said\n")
    }

    @Test(arguments: [20, 30, 40, 60, 80])
    func `fits into the terminal`(columns: Int) throws {
        let progress = progress(.terminal(columns: columns))
        let name = "sha512-" + String(repeating: "0123456789abcdef", count: 4)
        progress.update(name, done: 0, total: 1 << 30, now: start)
        progress.update(name, done: 1 << 20, total: 1 << 30, now: start + .seconds(2))
        let line = try #require(output.screen.first)
        #expect(line.count < columns)
        #expect(output.screen.count == 1)
    }

    @Test func `says how many items it does not show`() {
        let progress = progress(.terminal(columns: 80))
        for item in 0..<14 { progress.update("item \(item)", done: 1, total: nil, now: start) }
        #expect(output.screen.count == 11)
        #expect(output.screen.last == "… and 4 more")
    }

    @Test func `begins anew when an item does`() {
        let progress = progress(.terminal(columns: 80))
        progress.update("a", done: 500, total: 1000, now: start)
        progress.update("a", done: 10, total: 1000, now: start + .seconds(5))
        #expect(output.screen == ["a  10B / 1000B  1%"])
    }
}
