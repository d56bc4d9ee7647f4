internal import Diagnostics
internal import Testing
@testable internal import rkt_systemd

@Suite struct ErrorReportTests {
    private func report(_ error: any Error, debug: Bool = false, isTerminal: Bool = false) -> String {
        ErrorReport(command: "run", debug: debug, isTerminal: isTerminal).text(for: error)
    }

    private static let chain = RktError(.notFound, "no such image").adding("reading the store").adding("cannot run pod")

    @Test func `prints the outermost and the innermost message on one line`() {
        #expect(report(Self.chain) == "run: cannot run pod: no such image\n")
        #expect(report(RktError(.failed, "alone")) == "run: alone\n")
        #expect(report(RktError(.failed, "two\nlines").adding("outer")) == "run: outer: two lines\n")
        #expect(report(CancellationError()) == "run: cancelled\n")
    }

    @Test func `prints the whole tree when debugging`() {
        let lines = report(Self.chain, debug: true).split(separator: "\n").map { String($0.prefix { $0 != "[" }) }
        #expect(lines == ["run: cannot run pod ", "  └─reading the store ", "    └─no such image "])
    }

    @Test func `neutralises names in messages for a terminal only`() {
        let error = RktError(.notFound, "no app \"\u{1b}[2J\"")
        #expect(report(error, isTerminal: true) == "run: no app \"\\x1b[2J\"\n")
        #expect(report(error) == "run: no app \"\u{1b}[2J\"\n")
    }

    @Test(
        arguments: [
            (["run"], 254), (["image", "list"], 254), (["app", "list"], 1), (["app", "status"], 1),
            (["app", "sandbox"], 1), (["app", "exec"], 254), ([], 254),
        ] as [([String], Int32)]
    )
    func `maps errors to exit statuses`(command: [String], status: Int32) {
        #expect(ExitStatus.of(.notFound, command: command) == status)
    }
}
