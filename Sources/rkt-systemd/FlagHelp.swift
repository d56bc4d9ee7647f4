/// The help text of a flag table.
enum FlagHelp {
    /// The flags that help shows, a line each.
    static func text(_ table: FlagTable) -> String {
        func section(_ title: String, _ scope: FlagSpecification.Scope) -> String {
            let lines = table.flags.compactMap { flag -> String? in
                guard flag.scope == scope, let help = flag.help else { return nil }
                let name = "  --\(flag.name)" + (flag.kind == .bool ? "" : "=…")
                return name + String(repeating: " ", count: max(2, 26 - name.count)) + help
            }
            return lines.isEmpty ? "" : "\(title):\n" + lines.joined(separator: "\n") + "\n"
        }
        return section("FLAGS", .pod) + "\n" + section("APP FLAGS (behind an image)", .app)
    }
}
