import Diagnostics
import FoundationEssentials
import Manifests
import Testing
import UnitGen

@Suite struct BundleTests {
    private struct Decoded: Decodable {
        struct Process: Decodable {
            struct User: Decodable {
                var uid: UInt32
                var gid: UInt32
                var additionalGids: [UInt32]
                var umask: UInt32
            }
            var args: [String]
            var env: [String]
            var cwd: String
            var user: User
        }
        var process: Process
    }

    private func app(_ arguments: [String], _ environment: [(String, String)] = []) throws -> AppPlan {
        var app = try Samples.app("redis")
        app.arguments = arguments
        app.environment = environment
        return app
    }

    @Test(arguments: Samples.names, [MachineArchitecture.x86, .arm])
    func aBundleFollowsTheSpecification(name: String, architecture: MachineArchitecture) throws {
        let pod = try Samples.pod(name)
        let bytes = try pod.runtimeConfiguration(for: pod.apps[0], architecture: architecture)
        #expect(OCIRules.violations(in: try JSONDecoder().decode(JSONValue.self, from: Data(bytes))) == [])
    }

    @Test func everyArgumentAndVariableComesBackByteForByteOrIsRefusedByName() throws {
        var random = SeededGenerator(seed: 11)
        var taken = 0
        for _ in 0..<3_000 {
            let arguments = (0..<Int.random(in: 0...3, using: &random)).map { _ in random.text(maximum: 6) }
            let environment = (0..<2).map { _ in (random.text(maximum: 3), random.text(maximum: 6)) }
            let plan = try app(arguments, environment)
            let pod = try Samples.pod("redis", apps: [plan])
            let isBad =
                arguments.first?.isEmpty != false || environment.contains { $0.0.isEmpty || $0.0.utf8.contains(61) }
                || (arguments + environment.flatMap { [$0.0, $0.1] }).contains { $0.utf8.contains(0) }
            do {
                let decoded = try JSONDecoder().decode(Decoded.self, from: Data(pod.runtimeConfiguration(for: plan)))
                #expect(!isBad)
                #expect(decoded.process.args.map { Array($0.utf8) } == arguments.map { Array($0.utf8) })
                #expect(
                    decoded.process.env.map { Array($0.utf8) } == environment.map { Array("\($0.0)=\($0.1)".utf8) }
                )
                taken += 1
            } catch let error as RktError {
                #expect(isBad)
                #expect(error.code == .invalidArgument)
                #expect(error.message.hasPrefix("app \"redis\": "))
                #expect(!error.message.utf8.contains { $0 < 32 }, "an error is one line")
            }
        }
        #expect(taken > 500)
    }

    @Test(arguments: [
        ([], "image \"registry-1.docker.io/library/redis:latest\" has an empty \"exec\" (try --exec=BINARY)"),
        (["", "a"], "image \"registry-1.docker.io/library/redis:latest\" has an empty \"exec\" (try --exec=BINARY)"),
        (["a", "b\0c"], "argument 1 has a NUL byte in it"),
    ])
    func argumentsNoProcessCanHaveAreRefused(arguments: [String], message: String) throws {
        let plan = try app(arguments)
        let error = try #require(throws: RktError.self) {
            try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        }
        #expect(error.message == "app \"redis\": \(message)")
    }

    @Test(arguments: [
        ("", "x", "\"\" is no name for an environment variable"),
        ("A=B", "x", "\"A=B\" is no name for an environment variable"),
        ("A\0", "x", "\"A\\0\" is no name for an environment variable"),
        ("A", "x\0", "the value of environment variable \"A\" has a NUL byte in it"),
    ])
    func variablesNoProcessCanHaveAreRefused(name: String, value: String, message: String) throws {
        let plan = try app(["a"], [(name, value)])
        let error = try #require(throws: RktError.self) {
            try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        }
        #expect(error.message == "app \"redis\": \(message)")
    }

    @Test(arguments: ["", "tmp", "./tmp", "/a\0b"])
    func aWorkingDirectoryThatIsNoAbsolutePathIsRefused(directory: String) throws {
        var plan = try app(["a"])
        plan.workingDirectory = directory
        let error = try #require(throws: RktError.self) {
            try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        }
        #expect(error.message.contains("working directory"))
    }

    /// The kernel takes the highest number as "do not change": the app would have stayed root.
    @Test(arguments: [0, 1, 2])
    func theUserThatIsNoneIsRefused(place: Int) throws {
        var plan = try app(["a"])
        if place == 0 {
            plan.uid = .max
        } else if place == 1 {
            plan.gid = .max
        } else {
            plan.supplementaryGroups = [5, .max]
        }
        let error = try #require(throws: RktError.self) {
            try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        }
        #expect(
            error.message
                == "app \"redis\": \(place == 0 ? "user 4294967295 is no user" : "group 4294967295 is no group")"
        )
    }

    @Test(arguments: [-1001, 1001, Int.max])
    func anAdjustmentTheKernelRefusesIsRefused(adjustment: Int) throws {
        var plan = try app(["a"])
        plan.oomScoreAdjustment = adjustment
        #expect(throws: RktError.self) { try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan) }
    }

    @Test func numbersAreAsPlanned() throws {
        var plan = try app(["a"])
        plan.uid = 4_294_967_294
        plan.gid = 2_147_483_648
        let bytes = try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        let user = try JSONDecoder().decode(Decoded.self, from: Data(bytes)).process.user
        #expect(user.uid == 4_294_967_294 && user.gid == 2_147_483_648 && user.additionalGids == [5, 27])
        #expect(user.umask == 0o22)
    }

    @Test func theSameBytesComeOutEachTime() throws {
        let pod = try Samples.pod("host")
        let first = try pod.runtimeConfiguration(for: pod.apps[0])
        #expect(try (0..<20).allSatisfy { _ in try pod.runtimeConfiguration(for: pod.apps[0]) == first })
    }

    @Test func bundlesOfAPodAreThoseOfItsApps() throws {
        var plain = try app(["a"])
        plain.name = try ACName("plain")
        var able = try app(["b"])
        able.name = try ACName("able")
        able.capabilities.append(try #require(Capability("CAP_SYS_ADMIN")))
        var open = try app(["c"])
        open.name = try ACName("open")
        open.filtersSystemCalls = false
        var last = plain
        last.name = try ACName("last")
        let pod = try Samples.pod("redis", apps: [plain, able, open, last])
        let bundles = try pod.runtimeConfigurations()
        #expect(bundles.map(\.app.name.description) == ["plain", "able", "open", "last"])
        for (app, json) in bundles { #expect(try json == pod.runtimeConfiguration(for: app)) }
        #expect(bundles[0].json == bundles[3].json)
        #expect(bundles[0].json != bundles[1].json)
    }

    @Test func everyCharacterComesThrough() throws {
        let all = String(String.UnicodeScalarView((1..<0x250).compactMap(Unicode.Scalar.init))) + "\u{2028}\u{1F680}"
        let plan = try app(["/bin/echo", all])
        let bytes = try Samples.pod("redis", apps: [plan]).runtimeConfiguration(for: plan)
        #expect(try JSONDecoder().decode(Decoded.self, from: Data(bytes)).process.args == ["/bin/echo", all])
    }
}
