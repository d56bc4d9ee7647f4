internal import Diagnostics

/// Something that reads bytes others wrote, and what must hold whatever they are.
public struct FuzzTarget: Sendable {
    /// Its name, which is that of its corpus.
    public let name: String
    /// The mutations that a short run makes.
    public let shortRun: Int
    /// Runs it; throws a ``FuzzFailure`` when something does not hold.
    public let run: @Sendable ([UInt8]) throws -> Void

    /// A target.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - shortRun: The mutations that a short run makes.
    ///   - run: What it does. An ``RktError`` is a refusal, and right; any other error is not.
    public init(_ name: String, shortRun: Int, _ run: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.shortRun = shortRun
        self.run = { bytes in
            do {
                try run(bytes)
            } catch is RktError {
                // Refused.
            } catch let error as FuzzFailure {
                throw error
            } catch {
                throw FuzzFailure("an error that is not ours: \(error)")
            }
        }
    }

    /// All of them.
    public static let all: [FuzzTarget] = [
        reference, manifest, configuration, dockerSave, aci, challenge, stream, page, key, signature,
    ]
}

/// What does not hold.
public struct FuzzFailure: Error, CustomStringConvertible {
    /// What it is.
    public let description: String

    /// A failure.
    ///
    /// - Parameter description: What it is.
    public init(_ description: String) {
        self.description = description
    }
}

/// Checks that something holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    guard condition else { throw FuzzFailure(message()) }
}

/// Runs what must not be refused.
func mustSucceed<Value>(_ what: @autoclosure () -> String, _ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        throw FuzzFailure("\(what()): \(error)")
    }
}
