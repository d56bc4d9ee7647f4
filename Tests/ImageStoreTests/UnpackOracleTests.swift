import Diagnostics
import ImageFetch
import ImageFixtures
import ImageStore
import LinuxOS
import Testing

/// Layers with all that a layer can hold, unpacked by the store and by GNU tar and umoci, and compared entry by entry.
@Suite(
    .enabled(if: isRoot, "layers have owners and devices: unpacking needs root"),
    .enabled(
        if: ["python3", "umoci", "bsdtar", "tar"].allSatisfy(hasProgram),
        "python3, umoci, bsdtar or tar is missing"
    ),
    .timeLimit(.minutes(10))
)
struct UnpackOracleTests {
    @Test func agreesWithTarAndUmociEntryByEntry() throws {
        let scratch = try Scratch()
        let oracle = "python3 -B '\(testDirectory)/Oracle/oracle.py'"
        try scratch.shell("\(oracle) make . > names 2> warnings || { cat warnings >&2; exit 1; }")
        let names = try scratch.directory.readText("names").split(separator: "\n").map(String.init)
        #expect(names.count > 20)
        let store = try ImageStore(root: "\(scratch.path)/store", create: true)
        let fetcher = FileFetcher(store: store)
        for name in names {
            let record = try fetcher.fetch(
                file: "\(scratch.path)/layout",
                reference: name,
                options: FetchOptions(insecureImage: true)
            )
            _ = try store.layers(of: record)
        }
        #expect(throws: Never.self) {
            try scratch.shell("\(oracle) compare . store/layers 2> summary || { cat summary >&2; exit 1; }")
        }
    }
}
