internal import Diagnostics
internal import Manifests

extension AppPlan {
    /// Refuses what a process cannot be given.
    ///
    /// - Throws: ``RktError`` with `invalidArgument`, naming the app and the field.
    func validate() throws {
        guard let program = arguments.first, !program.isEmpty else {
            throw refusal("image \"\(imageName)\" has an empty \"exec\" (try --exec=BINARY)")
        }
        for (index, argument) in arguments.enumerated() where argument.utf8.contains(0) {
            throw refusal("argument \(index) has a NUL byte in it")
        }
        for (key, value) in environment {
            guard !key.isEmpty, !key.utf8.contains(UInt8(ascii: "=")), !key.utf8.contains(0) else {
                throw refusal("\(key.debugDescription) is no name for an environment variable")
            }
            if value.utf8.contains(0) {
                throw refusal("the value of environment variable \(key.debugDescription) has a NUL byte in it")
            }
        }
        guard workingDirectory.isAbsolutePath else {
            throw refusal("working directory \(workingDirectory.debugDescription) is not an absolute path")
        }
        // To the kernel the highest number means "leave it": the app would keep running as root.
        guard uid != .max else { throw refusal("user \(uid) is no user") }
        for group in [gid] + supplementaryGroups where group == .max { throw refusal("group \(group) is no group") }
        if let adjustment = oomScoreAdjustment, !(-1000...1000).contains(adjustment) {
            throw refusal("oom-score-adj \(adjustment) is not between -1000 and 1000")
        }
    }

    private func refusal(_ what: String) -> RktError { RktError(.invalidArgument, "app \"\(name)\": \(what)") }
}
