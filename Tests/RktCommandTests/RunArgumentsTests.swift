internal import Diagnostics
internal import Pods
internal import Testing
@testable internal import rkt_systemd

@Suite struct RunArgumentsTests {
    private static let table = RunFlags.run(insecureOptions: ["none", "image", "tls", "all"])

    private func parse(_ words: [String]) throws -> RunArguments {
        try RunArguments.parse(words, flags: Self.table)
    }

    /// Images with their arguments.
    private func apps(_ words: [String]) throws -> [[String]] {
        try parse(words).apps.map { [$0.image] + $0.arguments }
    }

    @Test(
        arguments: [
            (["a"], [["a"]]), (["a", "b"], [["a"], ["b"]]),
            (["a", "--", "x", "-y", "--net=host"], [["a", "x", "-y", "--net=host"]]),
            (["a", "--", "x", "---", "b"], [["a", "x"], ["b"]]),
            (["a", "--", "x", "---", "b", "--", "y", "---"], [["a", "x"], ["b", "y"]]),
            (["a", "--"], [["a"]]), (["a", "--", "---", "b"], [["a"], ["b"]]),
            (["a", "--", "--", "x"], [["a", "--", "x"]]), (["---", "a", "---", "b"], [["a"], ["b"]]),
            (["", "a", "", "--", "", "x", ""], [["a", "", "x", ""]]), (["-"], [["-"]]), ([], []),
        ] as [([String], [[String]])]
    )
    func `splits images and their arguments`(words: [String], expected: [[String]]) throws {
        #expect(try apps(words) == expected)
    }

    @Test func `gives flags to the pod and to the image in front of them`() throws {
        let arguments = try parse([
            "--net=host", "--debug", "redis", "--user=1000", "--hostname", "box", "--environment", "A=1",
            "--environment=B=2", "nginx", "--user", "www", "--", "-g", "x", "---", "--quiet", "--name=web",
        ])
        #expect(arguments.podFlags.string("net") == "host")
        #expect(arguments.podFlags.bool("debug") == true)
        #expect(arguments.podFlags.string("hostname") == "box")
        #expect(arguments.podFlags.bool("quiet") == true)
        #expect(arguments.podFlags.string("user") == nil)
        #expect(arguments.apps.map(\.image) == ["redis", "nginx"])
        #expect(arguments.apps[0].flags.string("user") == "1000")
        #expect(arguments.apps[0].flags.pairs("environment").map(\.key) == ["A", "B"])
        #expect(arguments.apps[1].flags.string("user") == "www")
        #expect(arguments.apps[1].flags.string("name") == "web")
        #expect(arguments.apps[1].arguments == ["-g", "x"])
    }

    @Test func `takes switches without the next word`() throws {
        let arguments = try parse(["--quiet", "true", "--detach=false"])
        #expect(arguments.apps.map(\.image) == ["true"])
        #expect(arguments.podFlags.bool("quiet") == true)
        #expect(arguments.podFlags.bool("detach") == false)
    }

    @Test func `keeps the last value, all values or the only one`() throws {
        let arguments = try parse([
            "--hostname=a", "--hostname=b", "--set-env=A=1", "--set-env", "B=2=3", "img", "--environment=X=1",
            "--environment=X=2", "--caps-retain=CAP_KILL", "--cap-retain=CAP_CHOWN,CAP_NET_ADMIN",
        ])
        #expect(arguments.podFlags.string("hostname") == "b")
        #expect(arguments.podFlags.strings("set-env") == ["A=1", "B=2=3"])
        #expect(arguments.apps[0].flags.pairs("environment").map(\.value) == ["2"])
        #expect(arguments.apps[0].flags.list("caps-retain") == ["CAP_CHOWN", "CAP_NET_ADMIN"])
    }

    @Test(
        arguments: [
            (["a"], []), (["--net=host", "--insecure-options=all", "a", "--user=1"], []),
            (["--net=bridge:IP=1", "a"], ["--net: the app is on the host's network"]),
            (["--net", "a"], ["--net: the app is on the host's network"]),
            (["a", "--hostname=b"], ["--hostname: the host's name stays"]),
            (["a", "--cap-retain=CAP_KILL"], ["--caps-retain: the app has the host's capabilities"]),
            (["a", "--caps-remove=CAP_KILL"], ["--caps-remove: the app has the host's capabilities"]),
        ] as [([String], [String])]
    )
    func `knows what fly ignores`(words: [String], expected: [String]) throws {
        #expect(RunFlags.ignoredByFly(try parse(words)) == expected)
    }

    @Test(arguments: [["--help"], ["-h", "--unknown"], ["a", "--help"]])
    func `notices that help is wanted`(words: [String]) throws {
        #expect(try parse(words).isHelpWanted)
        #expect(try !parse(["a", "--", "--help"]).isHelpWanted)
    }

    @Test(
        arguments: [
            (["--", "x"], "an image is required before any app arguments"),
            (["a", "--", "x", "---", "--", "y"], "only one set of app arguments allowed per image"),
            (["--user=x", "a"], "--user must follow an image"),
            (["--exec", "/bin/sh"], "--exec must follow an image"),
            (["a", "--exec=/a", "--exec=/b"], "--exec specified multiple times for the same image"),
            (["a", "--signature=x", "--signature=y"], "--signature specified multiple times for the same image"),
            (["--nope"], "unknown flag: --nope"), (["--no\u{1b}pe=x"], "unknown flag: --no\\x1bpe"),
            (["--hostname"], "flag needs an argument: --hostname"), (["--=x"], "bad flag syntax: --=x"),
            (["---x"], "bad flag syntax: ---x"), (["-x"], "unknown shorthand flag: 'x' in \"-x\""),
            (["--quiet=maybe"], "invalid argument \"maybe\" for --quiet: \"maybe\" is neither true nor false"),
            (["--set-env=A"], "invalid argument \"A\" for --set-env: must be specified as key=value"),
            (["--set-env=A=1", "--set-env=A=2"], "invalid argument \"A=2\" for --set-env: key \"A\" already set"),
            (["--pull-policy=x"], "invalid argument \"x\" for --pull-policy: it must be new, update or never"),
            (["--journal=x"], "invalid argument \"x\" for --journal: it must be host or namespace"),
            (["--stage1-name="], "invalid argument \"\" for --stage1-name: it must not be empty"),
            (
                ["--stage1-url=x"],
                "invalid argument \"x\" for --stage1-url: it must be a URL: file://PATH, https://HOST/NAME.aci or docker://NAME"
            ),
            (["--stage1-path=a", "--stage1-path=a"], "--stage1-path already used"),
            (
                ["--stage1-hash=a", "img", "--stage1-name=fly"],
                "flags --stage1-hash and --stage1-name are mutually exclusive"
            ),
            (
                ["--insecure-options=x"],
                "invalid argument \"x\" for --insecure-options: unknown option \"x\": there are none, image, tls, all"
            ),
            (
                ["--insecure-options=tls,TLS"],
                "invalid argument \"tls,TLS\" for --insecure-options: duplicated option \"tls\""
            ),
            (["--dir="], "invalid argument \"\" for --dir: \"\" is not a valid directory"),
            (
                ["a", "--environment=A"],
                "invalid argument \"A\" for --environment: invalid format of --environment flag \"A\": "
                    + "it must be NAME=VALUE"
            ),
            (
                ["a", "--oom-score-adj=1001"],
                "invalid argument \"1001\" for --oom-score-adj: it must be between -1000 and 1000, got 1001"
            ),
            (
                ["a", "--supplementary-gids=1,x"],
                "invalid argument \"1,x\" for --supplementary-gids: --supplementary-gids must be integers"
            ),
            (
                ["a", "--readonly-rootfs=x"],
                "invalid argument \"x\" for --readonly-rootfs: --readonly-rootfs must be set with a boolean"
            ),
            (["a", "--working-dir=x"], "invalid argument \"x\" for --working-dir: it must be an absolute path"),
        ] as [([String], String)]
    )
    func `says what is wrong`(words: [String], message: String) {
        let error = #expect(throws: RktError.self) { try parse(words) }
        #expect(error?.description == "error parsing app image arguments: \(message)")
        #expect(error?.code == .invalidArgument)
    }

    @Test(
        arguments: [
            (["--volume", "x"], "--volume is not supported yet"),
            (["--interactive"], "--interactive is not supported yet"),
            (["--pod-manifest=x"], "--pod-manifest is not supported yet"),
            (["a", "--seccomp=mode=retain"], "--seccomp is not supported yet"),
            (["--no-overlay"], "--no-overlay is not supported yet: apps run on an overlay of their image"),
        ] as [([String], String)]
    )
    func `says what is not supported yet`(words: [String], message: String) {
        let error = #expect(throws: RktError.self) { try parse(words) }
        #expect(error?.description == "error parsing app image arguments: \(message)")
        #expect(error?.code == .unsupported)
    }

    @Test(arguments: [["--interactive=false", "a"], ["--no-overlay=false", "a"], ["--net=none", "a"]])
    func `takes what only says the default`(words: [String]) throws {
        #expect(try parse(words).apps.count == 1)
    }

    @Test(
        arguments: [
            ("name", ["a", "a-b", "0", "web2"], ["", "A", "a--b", "-a", "a-", "a.b", "a b", "ä"]),
            ("annotation", ["a=", "coreos.com/rkt~x_1=v=w"], ["a", "=v", "A=v", "a..b=v", "a/=v"]),
            ("caps-retain", ["CAP_KILL", "CAP_SYS_ADMIN,CAP_NET_RAW"], ["", "KILL", "CAP_", "CAP_kill", "CAP_KILL,"]),
            ("supplementary-gids", ["", "0", "1,4294967294"], [",", "-1", "4294967295", "1,,2", "1.5"]),
            ("user", ["root", "1000", "/etc/passwd"], ["", "a\nb", "a\u{1b}b"]),
        ] as [(String, [String], [String])]
    )
    func `checks the values of apps' flags`(flag: String, good: [String], bad: [String]) throws {
        for value in good {
            #expect(try parse(["a", "--\(flag)=\(value)"]).apps[0].flags.string(flag) == value)
        }
        for value in bad {
            #expect(throws: RktError.self, "\(value)") { try parse(["a", "--\(flag)=\(value)"]) }
        }
    }

    @Test(arguments: [
        ("box", true), ("a.b-c.d", true), ("", false), ("-a", false), ("a-", false), ("a..b", false),
        ("a b", false), ("a_b", false), (String(repeating: "a", count: 64), true),
        (String(repeating: "a", count: 65), false),
    ])
    func `checks host names`(name: String, isGood: Bool) {
        #expect(((try? parse(["--hostname=\(name)"])) != nil) == isGood)
    }

    @Test(
        arguments: [
            (["--store-only", "--no-store", "a"], "both --store-only and --no-store specified"),
            ([], "must provide at least one image"),
            (
                ["a", "--caps-retain=CAP_KILL", "--caps-remove=CAP_KILL"],
                "cannot use both --caps-retain and --caps-remove on the same image (\"a\")"
            ),
        ] as [([String], String)]
    )
    func `refuses flags that contradict each other`(words: [String], message: String) throws {
        let arguments = try parse(words)
        let error = #expect(throws: RktError.self) { try RunFlags.validate(arguments) }
        #expect(error?.message == message)
    }

    @Test(arguments: [("--net", "default"), ("--net=bridge:IP=1", "bridge:IP=1"), ("--net=a\u{1b}", "a\\x1b")])
    func `knows no networks yet but under fly`(flag: String, name: String) throws {
        let flags = try parse([flag, "a"]).podFlags
        let error = #expect(throws: RktError.self) { try RunFlags.validateNetwork(flags, isFly: false) }
        #expect(error?.message == "network \"\(name)\" is not supported yet: use --net=none or --net=host")
        #expect(error?.code == .unsupported)
        try RunFlags.validateNetwork(flags, isFly: true)
    }

    @Test(
        arguments: [
            (["a"], "new"), (["--pull-policy=update", "a"], "update"), (["--store-only", "a"], "never"),
            (["--no-store", "a"], "update"), (["--no-store=false", "--pull-policy=never", "a"], "never"),
        ] as [([String], String)]
    )
    func `takes the old flags for the pull policy`(words: [String], policy: String) throws {
        let arguments = try parse(words)
        try RunFlags.validate(arguments)
        #expect(RunFlags.pullPolicy(arguments.podFlags) == policy)
    }

    @Test func `knows what is to run the pod`() throws {
        #expect(try RunFlags.stage1(parse(["a"]).podFlags) == nil)
        #expect(try RunFlags.stage1(parse(["a", "--stage1-name=fly"]).podFlags) == .builtIn(.fly))
        #expect(try RunFlags.stage1(parse(["--stage1-path", "b", "a"]).podFlags) == .image(.file("b")))
    }

    @Test func `knows the flags of prepare`() throws {
        let table = RunFlags.prepare(insecureOptions: ["none"])
        #expect(table["quiet"] != nil)
        #expect(table["detach"] == nil)
        #expect(table["hostname"] == nil)
        #expect(table["user"]?.scope == .app)
    }
}
