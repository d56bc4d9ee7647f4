import Manifests
import Testing
import UnitGen

/// Plans of pods that tests share.
enum Samples {
    static let names = ["redis", "host", "fly", "nspawn"]

    static func uuid() throws -> PodUUID { try #require(PodUUID("6bbdc6d3-2d4b-4d2f-8b5a-0f9b5a3c7e11")) }

    static func pod(_ name: String, apps: [AppPlan]? = nil) throws -> PodPlan {
        PodPlan(
            uuid: try uuid(),
            hostname: "rkt-\(try uuid())",
            stage1: ["fly": .fly, "nspawn": .nspawn][name] ?? .units,
            network: ["redis", "nspawn"].contains(name) ? .none : .host,
            journal: name == "host" ? .host : .namespace(maximumUse: 64 << 20),
            dataDirectory: "/var/lib/rkt",
            podInit: "/usr/lib/rkt/pod-init",
            runtime: "/usr/bin/crun",
            apps: try apps ?? [app(name)]
        )
    }

    /// An app for each kind of thing an app can ask for.
    static func app(_ name: String) throws -> AppPlan {
        var app = AppPlan(
            name: try ACName(name),
            imageName: "registry-1.docker.io/library/\(name):latest",
            arguments: ["/usr/bin/\(name)", "--port", "6379"],
            environment: [("PATH", "/usr/bin:/bin"), ("AC_APP_NAME", name)],
            workingDirectory: "/",
            uid: 0,
            gid: 0
        )
        switch name {
        case "redis":
            app.uid = 999
            app.gid = 1000
            app.supplementaryGroups = [5, 27]
            app.stopSignal = 2
            app.readOnlyRootFS = true
            app.oomScoreAdjustment = 100
        case "host":
            app.imageName = "/images/50% \"off\" \\ $HOME\nx.aci"
            app.arguments = ["/bin/sh", "-c", "echo \"$HOME\" '%n' \\ ; \n\u{1B}é😀", ""]
            app.capabilities = Capability.all
            app.hidesPaths = false
            app.noNewPrivileges = false
            app.stopSignal = 37
        // With what an app has by default.
        case "nspawn": break
        default:
            app.environment.removeLast()
            app.filtersSystemCalls = false
            app.hidesPaths = false
            app.noNewPrivileges = false
            app.capabilities = Capability.all
        }
        return app
    }
}
