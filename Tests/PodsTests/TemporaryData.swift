import Diagnostics
import LinuxOS
import Manifests
@testable import Pods
import TestSupport
import Testing

/// A data directory of a test's own, and the pods in it.
final class TemporaryData: Sendable {
    let directory: TemporaryDirectory
    let data: DataDirectory

    init() throws {
        directory = try TemporaryDirectory()
        data = DataDirectory(path: directory.path(of: "data"), links: LastingLinks(home: directory.path(of: "home")))
    }

    deinit {
        // What preparing leaves outside of the data directory.
        for pod in (try? lookup.pods(in: Set(PodPhase.allCases))) ?? [] { PodLinks.removeRuntimeLink(pod.uuid) }
    }

    var lookup: PodLookup { PodLookup(data: data) }

    /// Makes a pod's directory by hand.
    func makePod(_ uuid: PodUUID, in phase: PodPhase, files: [String: String] = [:]) throws -> PodDirectory {
        let parent = try data.ensurePhase(phase)
        try parent.makeDirectory(uuid.description)
        let directory = try parent.directory(uuid.description)
        for (path, content) in files {
            let parts = path.split(separator: "/").map(String.init)
            let parent = try parts.dropLast().reduce(directory) { try $0.ensureDirectory($1) }
            try parent.writeInPlace(parts[parts.count - 1], content)
        }
        return PodDirectory(uuid: uuid, phase: phase, directory: directory)
    }

    /// The names of all that is in any phase's directory.
    func everything() throws -> [String] {
        try PodPhase.allCases.flatMap { phase in
            try (data.phase(phase)?.names() ?? []).map { "\(phase.rawValue)/\($0)" }
        }
    }
}

/// A UUID that starts with some hexadecimal digits.
func uuid(_ start: String = "") throws -> PodUUID {
    let digits = "00000000-0000-4000-8000-000000000000"
    return try #require(PodUUID(start + digits.dropFirst(start.count)))
}

/// The error of an operation that fails as it should.
func failure<R>(_ operation: () throws -> R, sourceLocation: SourceLocation = #_sourceLocation) throws -> RktError {
    try #require(throws: RktError.self, sourceLocation: sourceLocation) { _ = try operation() }
}
