import ImageStore
import Manifests
import Testing

@Suite struct ContentHashTests {
    @Test func knownAnswers() throws {
        #expect(
            try ContentHash.digest(.sha256, of: Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
        #expect(
            try ContentHash.digest(.sha512, of: []).hex.hasPrefix(
                "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921"
            )
        )
    }
}
