import Manifests

/// The rules of the OCI runtime specification 1.0.2 (config.md, config-linux.md) for the members that are used here; a
/// member it does not know is a violation too.
enum OCIRules {
    static func violations(in document: JSONValue) -> [String] {
        var check = OCICheck()
        check.object(document, "config", required: ["ociVersion"], optional: ["process", "root", "mounts", "linux"])
        check.expect(document["ociVersion"] == .string("1.0.2"), "ociVersion")
        check.object(document["root"], "root", required: ["path"], optional: ["readonly"])
        check.process(document["process"])
        for mount in check.array(document["mounts"], "mounts") {
            check.object(mount, "mount", required: ["destination"], optional: ["type", "source", "options"])
            check.absolute(mount["destination"], "mount.destination")
            _ = check.strings(mount["options"], "mount.options")
        }
        check.linux(document["linux"])
        return check.violations
    }
}

private struct OCICheck {
    var violations: [String] = []

    mutating func expect(_ holds: Bool, _ what: String) {
        if !holds { violations.append(what) }
    }

    mutating func object(_ value: JSONValue?, _ what: String, required: Set<String>, optional: Set<String>) {
        guard case .object(let members)? = value else { return violations.append("\(what) is no object") }
        expect(required.isSubset(of: members.keys), "\(what) lacks \(required.subtracting(members.keys))")
        let unknown = Set(members.keys).subtracting(required).subtracting(optional)
        expect(unknown.isEmpty, "\(what) has \(unknown)")
    }

    mutating func array(_ value: JSONValue?, _ what: String) -> [JSONValue] {
        if case .array(let elements)? = value { return elements }
        violations.append("\(what) is no array")
        return []
    }

    mutating func strings(_ value: JSONValue?, _ what: String) -> [String] {
        array(value, what).compactMap { element in
            guard case .string(let text) = element else { return nil }
            return text
        }
    }

    mutating func absolute(_ value: JSONValue?, _ what: String) {
        guard case .string(let path)? = value else { return violations.append("\(what) is no string") }
        expect(path.utf8.first == UInt8(ascii: "/"), "\(what) is not absolute")
    }

    mutating func number(_ value: JSONValue?, _ what: String, in range: ClosedRange<Int64>) {
        guard case .integer(let number)? = value else { return violations.append("\(what) is no number") }
        expect(range.contains(number), "\(what) is \(number)")
    }

    mutating func process(_ process: JSONValue?) {
        let optional: Set = [
            "args", "env", "terminal", "user", "capabilities", "noNewPrivileges", "oomScoreAdj", "rlimits",
        ]
        object(process, "process", required: ["cwd"], optional: optional)
        absolute(process?["cwd"], "cwd")
        expect(!strings(process?["args"], "args").isEmpty, "args is empty")
        for variable in strings(process?["env"], "env") {
            expect(
                (variable.utf8.firstIndex(of: 61) ?? variable.utf8.startIndex) > variable.utf8.startIndex,
                "env \(variable)"
            )
        }
        object(process?["user"], "user", required: ["uid", "gid"], optional: ["umask", "additionalGids"])
        for name in ["uid", "gid"] { number(process?["user"]?[name], name, in: 0...0xFFFF_FFFE) }
        number(process?["user"]?["umask"], "umask", in: 0...0o777)
        let sets: Set = ["effective", "bounding", "inheritable", "permitted", "ambient"]
        object(process?["capabilities"], "capabilities", required: [], optional: sets)
        let bounding = Set(strings(process?["capabilities"]?["bounding"], "bounding"))
        for name in ["effective", "permitted"] {
            expect(Set(strings(process?["capabilities"]?[name], name)) == bounding, "\(name) is not bounding")
        }
        for name in bounding { expect(Capability(name)?.description == name, "capability \(name)") }
        if let adjustment = process?["oomScoreAdj"] { number(adjustment, "oomScoreAdj", in: -1000...1000) }
    }

    mutating func linux(_ linux: JSONValue?) {
        let optional: Set = ["rootfsPropagation", "maskedPaths", "readonlyPaths", "seccomp"]
        object(linux, "linux", required: ["namespaces"], optional: optional)
        var types: [JSONValue] = []
        for namespace in array(linux?["namespaces"], "namespaces") {
            object(namespace, "namespace", required: ["type"], optional: ["path"])
            if let path = namespace["path"] { absolute(path, "namespace.path") }
            types.append(namespace["type"] ?? .null)
        }
        let known = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"].map { JSONValue.string($0) }
        let propagations = ["shared", "slave", "private", "unbindable"].map { JSONValue.string($0) }
        expect(linux?["rootfsPropagation"].map(propagations.contains) ?? true, "rootfsPropagation")
        expect(Set(types).isSubset(of: known) && Set(types).count == types.count, "namespaces")
        for list in ["maskedPaths", "readonlyPaths"] {
            for path in array(linux?[list], list) { absolute(path, list) }
        }
        if let seccomp = linux?["seccomp"] { self.seccomp(seccomp) }
    }

    private mutating func seccomp(_ seccomp: JSONValue) {
        let optional: Set = ["defaultErrnoRet", "architectures", "syscalls", "flags"]
        object(seccomp, "seccomp", required: ["defaultAction"], optional: optional)
        let actions = Set(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"].map { JSONValue.string($0) })
        let operators = Set(
            ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map { JSONValue.string("SCMP_CMP_\($0)") }
        )
        let architectures = Set(["X86", "X86_64", "X32", "ARM", "AARCH64"].map { "SCMP_ARCH_\($0)" })
        expect(actions.contains(seccomp["defaultAction"] ?? .null), "defaultAction")
        expect(architectures.isSuperset(of: strings(seccomp["architectures"], "architectures")), "architectures")
        for rule in array(seccomp["syscalls"], "syscalls") {
            object(rule, "rule", required: ["names", "action"], optional: ["errnoRet", "args"])
            expect(!strings(rule["names"], "names").isEmpty, "names is empty")
            expect(actions.contains(rule["action"] ?? .null), "action")
            for argument in rule["args"].map({ array($0, "args") }) ?? [] {
                object(argument, "arg", required: ["index", "value", "op"], optional: ["valueTwo"])
                number(argument["index"], "index", in: 0...5)
                expect(operators.contains(argument["op"] ?? .null), "op")
            }
        }
    }
}

extension JSONValue {
    /// A member of an object; nil when this is none, or has no such member.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }
}
