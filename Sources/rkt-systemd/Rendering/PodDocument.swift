internal import Manifests
internal import Pods

/// A pod as `list` and `status` print it in JSON, as rkt 1.30 did.
struct PodDocument: Encodable {
    struct App: Encodable {
        let name: String
        let state: String
        let createdAt: Int64?
        let startedAt: Int64?
        let finishedAt: Int64?
        let exitCode: Int32?
        let imageID: String

        enum CodingKeys: String, CodingKey {
            case name, state
            case createdAt = "created_at"
            case startedAt = "started_at"
            case finishedAt = "finished_at"
            case exitCode = "exit_code"
            case imageID = "image_id"
        }
    }

    /// The pod's UUID: rkt 1 called it so.
    let name: String
    let state: String
    let appNames: [String]?
    let apps: [App]?
    let createdAt: Int64?
    let startedAt: Int64?
    let stage1: String?

    enum CodingKeys: String, CodingKey {
        case name, state
        case appNames = "app_names"
        case apps, stage1
        case createdAt = "created_at"
        case startedAt = "started_at"
    }

    init(_ pod: PodSummary) {
        name = pod.uuid.description
        state = pod.state.rawValue
        appNames = pod.apps.isEmpty ? nil : pod.apps.map(\.name)
        let documents = pod.apps.map { app in
            App(
                name: app.name,
                state: app.state.rawValue,
                createdAt: pod.createdAt,
                startedAt: pod.startedAt,
                finishedAt: app.finishedAt,
                exitCode: app.exitStatus,
                imageID: app.imageID
            )
        }
        apps = documents.isEmpty ? nil : documents
        // Pods have seconds, apps nanoseconds: so it has always been.
        createdAt = pod.createdAt.map { $0 / 1_000_000_000 }
        startedAt = pod.startedAt.map { $0 / 1_000_000_000 }
        stage1 = pod.stage1
    }
}
