internal import Diagnostics
internal import ImageFetch

/// A file of kind `auth`: what to show to servers that have ACIs.
struct DomainDocument: Decodable {
    /// The servers, as the file names them.
    let domains: [String]
    let credential: DomainCredential

    private enum CodingKeys: String, CodingKey {
        case domains, type, credentials
    }

    private struct Basic: Decodable {
        let user: String
        let password: String
    }

    private struct OAuth: Decodable {
        let token: String
    }

    private struct AWS: Decodable {
        let accessKeyID: String
        let secretAccessKey: String
        let awsRegion: String?
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        domains = try container.decode([String].self, forKey: .domains)
        guard !domains.isEmpty, !domains.contains("") else { throw RktError(.invalidData, "it names no domain") }
        let type = try container.decode(String.self, forKey: .type)
        switch type {
        case "basic":
            let basic = try container.decode(Basic.self, forKey: .credentials)
            // A colon in the name would be taken for what ends it.
            guard !basic.user.contains(":") else { throw RktError(.invalidData, "its user has a colon") }
            try Self.check(basic.user, "user")
            try Self.check(basic.password, "password")
            credential = .basic(user: basic.user, password: basic.password)
        case "oauth":
            let token = try container.decode(OAuth.self, forKey: .credentials).token
            try Self.check(token, "token")
            credential = .bearer(token)
        case "aws":
            let aws = try container.decode(AWS.self, forKey: .credentials)
            try Self.check(aws.accessKeyID, "accessKeyID")
            try Self.check(aws.secretAccessKey, "secretAccessKey")
            let region = aws.awsRegion.flatMap { $0.isEmpty ? nil : $0 }
            if let region { try Self.check(region, "awsRegion") }
            credential = .aws(accessKeyID: aws.accessKeyID, secretAccessKey: aws.secretAccessKey, region: region)
        default:
            throw RktError(.invalidData, "type is \(type.debugDescription): it must be \"basic\", \"oauth\" or \"aws\"")
        }
    }

    /// What is sent as a header must not end it.
    private static func check(_ text: String, _ field: String) throws {
        guard !text.isEmpty else { throw RktError(.invalidData, "its \(field) is empty") }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw RktError(.invalidData, "its \(field) has control characters")
        }
    }
}
