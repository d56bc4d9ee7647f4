import Diagnostics
import Manifests
import Testing

@Suite struct OCITests {
    private func code(_ body: () throws -> Void) -> RktError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? RktError)?.code
        }
    }

    // MARK: Digests

    @Test(arguments: [plainDigest, "sha512:" + String(repeating: "0", count: 128)])
    func digestsRoundTrip(_ text: String) throws {
        #expect(try Digest(text).description == text)
    }

    @Test(arguments: [
        "", "sha256", "sha256:", "sha256:aa", "sha256:" + String(repeating: "A", count: 64), "sha256:../../etc/passwd",
        "sha256:" + String(repeating: "a", count: 63) + "/", "sha256:" + String(repeating: "a", count: 65),
        "sha256:" + String(repeating: "ａ", count: 64),
    ])
    func malformedDigestsAreRefused(_ text: String) {
        #expect(code { _ = try Digest(text) } == .invalidData)
    }

    @Test func otherAlgorithmsAreUnsupported() {
        #expect(code { _ = try Digest("md5:d41d8cd98f00b204e9800998ecf8427e") } == .unsupported)
    }

    // MARK: JSON that two readers could understand differently

    @Test(arguments: [
        #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"x":{"b":1,"c":2,"b":3}}"#, "{} {}", "{}x", "", "{", "[1,]",
        "{\"a\"}",
        "[01]", "[1.]", "\"\u{1}\"", #""\ud800""#, #""\x""#, "nul", "+1", "[1 2]", "{\"a\":1,}",
        String(repeating: "[", count: 65),
    ])
    func ambiguousOrMalformedTextIsRefused(_ text: String) {
        #expect(code { try StrictJSON.check(Array(text.utf8), name: "x") } == .invalidData)
    }

    @Test(arguments: [
        "{}", "[]", " [ { \"a\" : [ ] , \"b\" : { } } , -1.5e+3 , true , null ] \n", #""\ud83d\ude00\n""#, "0",
        #"[{"a":1},{"a":2}]"#, String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
    ])
    func plainTextIsAccepted(_ text: String) throws {
        try StrictJSON.check(Array(text.utf8), name: "x")
    }

    @Test func textThatIsNotUTF8OrTooLargeIsRefused() {
        #expect(code { try StrictJSON.check([0x22, 0xff, 0x22], name: "x") } == .invalidData)
        #expect(
            code { try StrictJSON.check([UInt8](repeating: 32, count: StrictJSON.sizeLimit + 1), name: "x") }
                == .limitExceeded
        )
    }

    // MARK: Documents

    @Test(arguments: [OCI.MediaType.manifest, OCI.MediaType.dockerManifest, nil])
    func aManifestIsRead(_ type: String?) throws {
        let text =
            #"{"schemaVersion":2,"config":\#(plainConfig),"layers":[\#(descriptor("\(OCI.MediaType.layer)+gzip"))],"x":1}"#
        guard case .manifest(let manifest) = try OCI.Document(Array(text.utf8), mediaType: type, name: "x") else {
            Issue.record("not a manifest")
            return
        }
        #expect(manifest.layers.count == 1)
    }

    @Test(arguments: badDocuments)
    func badDocumentsAreRefused(_ text: String, _ expected: RktError.Code) {
        #expect(code { _ = try OCI.Document(Array(text.utf8), mediaType: nil, name: "x") } == expected)
    }

    @Test func aDocumentOfAnotherTypeThanAnnouncedIsRefused() {
        let text = #"{"schemaVersion":2,"manifests":[]}"#
        #expect(
            code { _ = try OCI.Document(Array(text.utf8), mediaType: OCI.MediaType.manifest, name: "x") }
                == .invalidData
        )
    }

    // MARK: Platforms

    private func makeIndex(_ platforms: [OCI.Platform?], names: [String?] = []) -> OCI.Index? {
        let entries = platforms.enumerated().map { number, platform -> String in
            let hex = String(repeating: "0", count: 63) + String(number, radix: 16)
            let variant = platform?.variant.map { #","variant":"\#($0)""# } ?? ""
            let text =
                platform.map { #","platform":{"os":"\#($0.os)","architecture":"\#($0.architecture)"\#(variant)}"# }
                ?? ""
            let name = number < names.count ? names[number] : nil
            let note = name.map { #","annotations":{"org.opencontainers.image.ref.name":"\#($0)"}"# } ?? ""
            return
                #"{"mediaType":"\#(OCI.MediaType.manifest)","digest":"sha256:\#(hex)","size":\#(number)\#(text)\#(note)}"#
        }
        let text = #"{"schemaVersion":2,"manifests":[\#(entries.joined(separator: ","))]}"#
        guard case .index(let index) = try? OCI.Document(Array(text.utf8), mediaType: nil, name: "x") else {
            return nil
        }
        return index
    }

    private static let arm = ["v8", "v6", "v7", "v5"].map {
        OCI.Platform(os: "linux", architecture: "arm", variant: $0)
    }

    @Test(arguments: [("v7", 2), ("v6", 1), ("v8", 0), ("v5", 3)])
    func theBestVariantThatRunsIsTaken(_ variant: String, _ place: Int64) throws {
        let index = try #require(makeIndex(Self.arm))
        let host = OCI.Platform(os: "linux", architecture: "arm", variant: variant)
        #expect(try index.select(for: host, reference: nil, name: "x").size == place)
    }

    @Test func attestationsAndOtherSystemsArePassedOver() throws {
        let index = try #require(
            makeIndex([
                OCI.Platform(os: "unknown", architecture: "unknown"),
                OCI.Platform(os: "windows", architecture: "amd64"),
                OCI.Platform(os: "linux", architecture: "amd64"),
            ])
        )
        let host = OCI.Platform(os: "linux", architecture: "amd64")
        #expect(try index.select(for: host, reference: nil, name: "x").size == 2)
        let other = OCI.Platform(os: "linux", architecture: "s390x")
        #expect(code { _ = try index.select(for: other, reference: nil, name: "x") } == .notFound)
    }

    @Test func severalNamesNeedAChoice() throws {
        let index = try #require(makeIndex([nil, nil], names: ["a", "b"]))
        #expect(code { _ = try index.select(for: .host, reference: nil, name: "x") } == .invalidArgument)
        #expect(try index.select(for: .host, reference: "b", name: "x").size == 1)
        #expect(code { _ = try index.select(for: .host, reference: "c", name: "x") } == .notFound)
    }

    /// What belongs to an image is none: signatures, lists of what refers to it, artifacts.
    @Test(arguments: [
        "sha256-\(zeros).sig", "sha256-\(zeros)", "example.com/app:sha256-\(zeros).att",
        #"x"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","y":{"a":"b"#,
        #"x","kind":"dev.cosignproject.cosign/sigs"#,
    ])
    func whatBelongsToAnImageIsPassedOver(name: String) throws {
        let index = try #require(makeIndex([nil, nil], names: ["1", name]))
        #expect(try index.select(for: .host, reference: nil, name: "x").size == 0)
        #expect(code { _ = try index.select(for: .host, reference: name, name: "x") } == .notFound)
    }

    @Test(arguments: [
        "sha256-00", "sha256", #"x"},"artifactType":"application/vnd.oci.image.config.v1+json","y":{"a":"b"#,
        #"x","kind":"dev.cosignproject.cosign/image"#, #"x","kind":"sigs"#,
    ])
    func anImageMayBeCalledAlmostSo(name: String) throws {
        let index = try #require(makeIndex([nil], names: [name]))
        #expect(try index.select(for: .host, reference: nil, name: "x").size == 0)
    }

    // MARK: Configuration

    private func config(_ config: String) throws -> ImageConfig {
        let text =
            #"{"os":"linux","architecture":"amd64","config":\#(config),"rootfs":{"type":"layers","diff_ids":null}}"#
        return try ImageConfig(try OCI.Image.parse(Array(text.utf8), name: "x"), name: "x")
    }

    @Test func aConfigurationIsNormalised() throws {
        let config = try config(
            #"{"User":"app:staff","Env":["A=1","B=x=y","A=2","bad","=no"],"Cmd":["c"],"Entrypoint":null,"WorkingDir":"","#
                + #""ExposedPorts":{"80/tcp":{},"53/udp":null,"8000-8010":{}},"Volumes":{"/data":{}},"StopSignal":"SIGQUIT"}"#
        )
        #expect(config.user == "app" && config.group == "staff")
        #expect(config.environment == [NameValue(name: "A", value: "2"), NameValue(name: "B", value: "x=y")])
        #expect(config.command == ["c"] && config.workingDirectory == "/" && config.stopSignal == "SIGQUIT")
        #expect(config.ports.map(\.name.description) == ["53-udp", "80-tcp", "8000-8010-tcp"])
        #expect(config.ports.map(\.count) == [nil, nil, 11])
        #expect(config.mountPoints.map(\.name.description) == ["volume-data"])
    }

    /// A combining mark behind a separator is not part of it, and names that only read the same are two.
    @Test func userAndEnvironmentAreTakenByBytes() throws {
        let config = try config(
            #"{"User":"app:\u0301g","Env":["A=\u0301x","caf\u00e9=1","cafe\u0301=2","caf\u00e9=3"],"WorkingDir":"/\u0301"}"#
        )
        #expect(config.user == "app" && config.group == "\u{301}g" && config.workingDirectory == "/\u{301}")
        #expect(
            config.environment.map { Array($0.name.utf8) } == ["A", "caf\u{E9}", "cafe\u{301}"].map { Array($0.utf8) }
        )
        #expect(config.environment.map(\.value) == ["\u{301}x", "3", "2"])
    }

    @Test(arguments: [
        #"{"ExposedPorts":{"0/tcp":{}}}"#, #"{"ExposedPorts":{"80/x":{}}}"#, #"{"ExposedPorts":{"70000":{}}}"#,
        #"{"Volumes":{"data":{}}}"#, #"{"Cmd":["a\u0000b"]}"#, #"{"Env":{"A":"1"}}"#, #"{"User":1}"#,
    ])
    func badConfigurationsAreRefused(_ text: String) {
        #expect(code { _ = try config(text) } == .invalidData)
    }
}

private let zeros = String(repeating: "0", count: 64)
private let plainDigest = "sha256:" + String(repeating: "a", count: 64)

private let plainConfig = descriptor(OCI.MediaType.config)

private func descriptor(_ type: String, size: String = "1") -> String {
    #"{"mediaType":"\#(type)","digest":"\#(plainDigest)","size":\#(size)}"#
}

private let badDocuments: [(String, RktError.Code)] = [
    (#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, .invalidData),
    (#"{"schemaVersion":2,"manifests":[],"config":{}}"#, .invalidData),
    (#"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.manifest)","manifests":[]}"#, .invalidData),
    (
        #"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.index)","config":\#(plainConfig),"layers":[]}"#,
        .invalidData
    ),
    (#"{"schemaVersion":2,"mediaType":"x","config":\#(plainConfig),"layers":[]}"#, .invalidData),
    (#"{"schemaVersion":1,"fsLayers":[]}"#, .unsupported),
    (#"{"manifests":[]}"#, .invalidData),
    (
        #"{"schemaVersion":2,"config":\#(descriptor("application/vnd.cncf.helm.config")),"layers":[]}"#,
        .unsupported
    ),
    (
        #"{"schemaVersion":2,"config":\#(plainConfig),"layers":[\#(descriptor("text/plain"))]}"#,
        .unsupported
    ),
    (
        #"{"schemaVersion":2,"config":\#(descriptor(OCI.MediaType.config, size: "-1")),"layers":[]}"#,
        .invalidData
    ),
    (
        #"{"schemaVersion":2,"config":\#(descriptor(OCI.MediaType.config, size: "\"1\"")),"layers":[]}"#,
        .invalidData
    ),
    (
        #"{"schemaVersion":2,"config":\#(descriptor(OCI.MediaType.config, size: "99999999")),"layers":[]}"#,
        .limitExceeded
    ),
    (
        #"{"schemaVersion":2,"config":\#(plainConfig),"layers":[\#(Array(repeating: descriptor(OCI.MediaType.layer), count: 501).joined(separator: ","))]}"#,
        .limitExceeded
    ),
]
