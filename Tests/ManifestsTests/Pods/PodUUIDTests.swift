import Manifests
import Testing

@Suite struct PodUUIDTests {
    @Test func theTextComesBack() throws {
        let uuid = try #require(PodUUID("6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e11"))
        #expect(uuid.description == "6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e11")
        #expect(uuid.hex == "6bbdc6d32d4b4d2f8b5a0f9b5a3c7e11")
        #expect(uuid.bytes.prefix(4) == [0x6B, 0xBD, 0xC6, 0xD3])
        #expect(uuid.bytes.count == 16)
    }

    @Test(arguments: [
        "", "6bbdc6d3", "6BBDC6D3-2D4B-4D2F-8B5A-0F9B5A3C7E11", "6bbdc6d32d4b4d2f8b5a0f9b5a3c7e11",
        "6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e1", "6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e111",
        "6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e1g", "6bbdc6d-32d4b-4d2f-8b5a-0f9b5a3c7e11",
        "{6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e1", "6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e1\n",
        "../6bbdc-2d4b-4d2f-8b5a-0f9b5a3c7e11", "+bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e11",
    ])
    func anythingElseIsNoUUID(text: String) {
        #expect(PodUUID(text) == nil)
    }

    @Test(arguments: [UInt8(0), 0xFF, 0x5A])
    func randomBytesAreMarkedAsRandom(byte: UInt8) throws {
        let uuid = PodUUID(random: [UInt8](repeating: byte, count: 16))
        #expect(uuid.bytes[6] >> 4 == 4)
        #expect(uuid.bytes[8] >> 6 == 2)
        #expect(uuid.bytes[15] == byte)
        #expect(try #require(PodUUID(uuid.description)) == uuid)
    }

    @Test func uuidsAreSortedAsTheirTextIs() {
        let low = PodUUID(random: [UInt8](repeating: 0x09, count: 16))
        let high = PodUUID(random: [UInt8](repeating: 0xA0, count: 16))
        #expect(low < high && !(high < low) && !(low < low))
    }
}
