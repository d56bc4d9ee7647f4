import Manifests
import Testing

@Suite struct SignalNameTests {
    @Test(arguments: [
        ("SIGTERM", 15), ("TERM", 15), ("term", 15), ("15", 15), ("SIGRTMIN+3", 37), ("RTMIN+3", 37), ("SIGRTMIN", 34),
        ("SIGRTMAX", 64), ("RTMAX-2", 62), ("SIGRTMIN+30", 64), ("SIGKILL", 9), ("64", 64), ("SIGCLD", 17),
        ("SIGPOLL", 29), ("SIGIOT", 6),
    ])
    func aNameIsANumber(text: String, number: Int32) {
        #expect(SignalName.number(text) == number)
    }

    @Test(arguments: [
        "", "SIG", "SIGSIGTERM", "0", "-1", "+15", "32", "33", "65", "4294967311", "SIGRTMIN+31", "SIGRTMIN-1",
        "SIGRTMIN+-1", "SIGRTMAX-31", "SIGRTMAX+1", "TERM ", "SIGTERM\n", "RTMIN+99999999999999999999", "\u{17F}IGTERM",
    ])
    func anythingElseIsNoSignal(text: String) {
        #expect(SignalName.number(text) == nil)
    }

    @Test func everySignalHasANameThatIsItsNumber() {
        for number in Int32(1)...64 where number != 32 && number != 33 {
            #expect(SignalName.number(SignalName.name(number)) == number)
        }
        #expect(SignalName.name(15) == "SIGTERM")
        #expect(SignalName.name(37) == "SIGRTMIN+3")
    }
}
