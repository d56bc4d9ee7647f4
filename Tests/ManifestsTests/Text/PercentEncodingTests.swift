import Manifests
import Testing

@Suite struct PercentEncodingTests {
    @Test(arguments: [
        ("aZ09-._~", "aZ09-._~"), ("a b/c:é%", "a%20b%2Fc%3A%C3%A9%25"), ("\u{0}\n\u{7F}", "%00%0A%7F"), ("", ""),
    ])
    func bytesAreWrittenAndReadBack(text: String, encoded: String) {
        #expect(PercentEncoding.encode(text.utf8) == encoded)
        #expect(PercentEncoding.decode(encoded) == Array(text.utf8))
    }

    @Test func whatIsToBeKeptIs() {
        #expect(PercentEncoding.encode("/a b:+".utf8, keeping: "/:") == "/a%20b:%2B")
        #expect(PercentEncoding.decode("%2b%2B+") == Array("+++".utf8))
    }

    @Test(arguments: ["%", "%4", "a%4", "%zz", "%+1", "%%41", "%4é"])
    func whatIsNoEscapeIsRefused(text: String) {
        #expect(PercentEncoding.decode(text) == nil)
    }

    @Test func everyByteHasTwoDigits() {
        #expect([0, 9, 10, 15, 16, 0x9F, 0xA0, 255].hex == "00090a0f109fa0ff")
        #expect([UInt8]().hex == "")
    }
}
