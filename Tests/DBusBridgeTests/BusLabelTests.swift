import DBusBridge
import Testing

@Suite struct BusLabelTests {
    @Test(
        arguments: [
            ("exit.target", "exit_2etarget"),
            ("", "_"),
            ("9p.mount", "_39p_2emount"),
            ("a9", "a9"),
            ("rkt-67e5.service", "rkt_2d67e5_2eservice"),
            ("a_b", "a_5fb"),
            ("é", "_c3_a9"),
        ]
    )
    func escapesAsSystemdDoes(text: String, label: String) {
        #expect(BusLabel.escape(text) == label)
    }
}
