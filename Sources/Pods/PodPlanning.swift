internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import Manifests
internal import UnitGen

/// From a request and its images to what UnitGen takes and the pod manifest says.
enum PodPlanning {
    /// How much a pod's journal keeps.
    static let journalMaximumUse: UInt64 = 64 << 20

    static func plan(
        pod: PodDirectory,
        data: DataDirectory,
        configuration: RuntimeConfiguration,
        apps: [AppPlan],
        podInit: String,
        runtime: String
    ) -> PodPlan {
        PodPlan(
            uuid: pod.uuid,
            hostname: configuration.hostname,
            stage1: stage1(configuration.stage1),
            network: configuration.network == .none ? .none : .host,
            journal: configuration.journal == .namespace ? .namespace(maximumUse: journalMaximumUse) : .host,
            dataDirectory: data.path,
            podInit: podInit,
            runtime: runtime,
            apps: apps
        )
    }

    private static func stage1(_ stage1: RuntimeConfiguration.Stage1) -> PodPlan.Stage1 {
        switch stage1 {
        case .units: .units
        case .fly: .fly
        case .nspawn: .nspawn
        case .image: .image
        }
    }

    static func manifest(request: PodRequest, plan: PodPlan, images: [PodImage]) -> PodManifest {
        var apps: [PodManifest.App] = []
        for (index, app) in plan.apps.enumerated() {
            let asked = request.apps[index]
            let record = images[index].record
            var appc = AppcApp(exec: app.arguments, user: "\(app.uid)", group: "\(app.gid)")
            appc.supplementaryGIDs = app.supplementaryGroups.isEmpty ? nil : app.supplementaryGroups
            appc.workingDirectory = app.workingDirectory
            appc.environment = app.environment.map { NameValue(name: $0.0, value: $0.1) }
            appc.userAnnotations = pairs(asked.userAnnotations)
            appc.userLabels = pairs(asked.userLabels)
            if request.stage1 == .image {
                appc.isolators = Stage1Image.isolators(of: asked, images[index].config)
            }
            apps.append(
                PodManifest.App(
                    name: app.name,
                    image: PodManifest.App.Image(
                        name: appcName(images[index].displayName),
                        id: record.id,
                        labels: record.labels.isEmpty ? nil : record.labels
                    ),
                    app: appc,
                    readOnlyRootFS: app.readOnlyRootFS ? true : nil,
                    annotations: asked.annotations.isEmpty
                        ? nil : asked.annotations.map { NameValue(name: $0.0, value: $0.1) }
                )
            )
        }
        let mutable = NameValue(name: "coreos.com/rkt/stage1/mutable", value: "false")
        return PodManifest(apps: apps, annotations: [mutable])
    }

    /// An image's name without its tag, if it is one by appc's rules.
    static func appcName(_ name: String) -> String? {
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        let end = name[slash...].firstIndex { $0 == ":" || $0 == "@" } ?? name.endIndex
        return (try? ACIdentifier(String(name[..<end])))?.description
    }

    private static func pairs(_ pairs: [(String, String)]) -> [String: String]? {
        pairs.isEmpty ? nil : Dictionary(pairs) { $1 }
    }
}

extension PodManifest {
    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }
}
