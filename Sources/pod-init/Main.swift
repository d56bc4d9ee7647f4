import CMusl

// One program with nine lives, told apart by the first argument, so that one small file is in memory once:
//
//   start   makes a pod run                          (ExecStart= of pod@.service)
//   pod     PID 1 of a pod                           (started by `start`)
//   machine becomes the systemd of a pod             (PID 1 of a machine, started by systemd-nspawn)
//   watch   records the ends of a machine's apps    (ExecStart= of a machine's rkt-ends.service)
//   app     launcher of an app                       (ExecStart= of the app's unit)
//   ended   records the end of an app                (ExecStopPost= of the app's unit)
//   stop    stops what is left of a pod              (ExecStop= of pod@.service)
//   bridge  leads to the systemd of a machine        (started by `rkt`)
//   gc      lets a stage1 that is an image clean up  (started by `rkt gc` and `rkt rm`)

@_cdecl("pod_init_main")
func podInitMain(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    var words: [UnsafePointer<CChar>] = []
    for index in 1..<max(Int(count), 1) {
        if let word = arguments[index] { words.append(UnsafePointer(word)) }
    }
    guard let mode = words.first else { refuse(Text("started by hand: this program belongs to rkt's units")) }
    words.removeFirst()
    if equal(mode, "start") { PodStart.run(words) }
    if equal(mode, "pod") { PodInit.run(words) }
    if equal(mode, "machine") { Nspawn.becomeSystemd(words) }
    if equal(mode, "watch") { MachineWatch.run() }
    if equal(mode, "app") { AppLauncher.run(words) }
    if equal(mode, "ended") { AppEnd.run(words) }
    if equal(mode, "stop") { PodStop.run(words) }
    if equal(mode, "bridge") { MachineBridge.run(words) }
    if equal(mode, "sealed-bridge") { MachineBridge.runSealed(words) }
    if equal(mode, "gc") { Stage1Collection.run(words) }
    refuse(Text("unknown mode ") + mode)
}
