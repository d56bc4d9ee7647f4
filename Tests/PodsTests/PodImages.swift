import Diagnostics
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
@testable import Pods
import Testing

/// Images in a data directory of a test's own, and pods made of them.
final class PodImages: Sendable {
    let temporary: TemporaryData
    private let scratch: Scratch

    init() throws {
        temporary = try TemporaryData()
        scratch = try Scratch()
    }

    /// Fetches an image.
    func image(_ fixture: ImageFixture) throws -> PodImage {
        try image(inFile: fixture.layoutTar)
    }

    /// Fetches an ACI.
    func aci(_ tar: [UInt8]) throws -> PodImage {
        try image(inFile: tar)
    }

    private func image(inFile content: [UInt8]) throws -> PodImage {
        let path = try scratch.file("image-\(UInt64.random(in: 0 ... .max))", content)
        let access = try ImageAccess(
            data: temporary.data,
            policy: .never,
            insecure: .image,
            credentials: CredentialSettings(directories: []) { _ in nil },
            progress: nil
        )
        return try access.podImage(path)
    }

    /// Fetches an image with some accounts and a configuration.
    func image(name: String? = "example.com/app:1", config: String = PodImages.config) throws -> PodImage {
        var fixture = ImageFixture([PodImages.base])
        fixture.name = name
        fixture.config = config
        return try image(fixture)
    }

    static let config =
        #"{"Env":["A=image","B=image","C=image","PATH=/image"],"Entrypoint":["/bin/sh"],"Cmd":["-c","true"]}"#

    static var base: ImageFixture.Layer {
        ImageFixture.Layer([
            .directory("./"), .directory("bin"), .file("bin/sh", "#!", mode: 0o755), .directory("etc"),
            .file("etc/passwd", AccountRoot.passwd), .file("etc/group", AccountRoot.group),
        ])
    }

    /// Plans one app.
    func plan(
        _ image: PodImage,
        app change: (inout PodRequest.App) -> Void = { _ in },
        request changeRequest: (inout PodRequest) -> Void = { _ in }
    ) throws -> Planned {
        var app = PodRequest.App(image: "image")
        change(&app)
        var request = PodRequest(apps: [app])
        changeRequest(&request)
        let apps = try Directory.ensure(path: "\(scratch.path)/apps-\(UInt64.random(in: 0 ... .max))")
        let bundle = try AppBundle(in: apps, name: "main", image: image)
        return Planned(plan: try AppPlanning.plan(app, in: request, bundle: bundle))
    }
}
