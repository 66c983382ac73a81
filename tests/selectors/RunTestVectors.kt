/**
 * Prints what the Kotlin selector chooses for every case of test_vectors.json, given as the
 * only argument: NAME, VARIANT and REASON with tabs between. Refused manifests are "refused".
 */
package rules_quantize.model_selector

import java.io.File

private fun deviceOf(json: Map<*, *>) = Device(
    abi = json["abi"] as String? ?: "",
    apiLevel = (json["api_level"] as Double? ?: 0.0).toInt(),
    ramMb = (json["ram_mb"] as Double? ?: 0.0).toLong(),
    delegates = (json["delegates"] as List<*>? ?: emptyList<String>()).map { it as String },
    deviceClass = json["device_class"] as String? ?: "",
    runtime = json["runtime"] as String? ?: "",
)

private fun choiceOf(test: Map<*, *>, manifest: Manifest): Choice {
    val device = deviceOf(test["device"] as Map<*, *>)
    val times = test["probe"] as Map<*, *>? ?: return select(manifest, device)
    var clock = 0.0
    val (choice, _) = probe(
        manifest,
        device,
        milliseconds = test["probe_milliseconds"] as Double,
        now = { clock },
    ) { variant ->
        check(variant.name in times) { "${variant.name} is not allowed" }
        val time = times[variant.name] as Double?
        clock += time ?: 0.0
        time != null
    }
    return choice
}

fun main(arguments: Array<String>) {
    val vectors = JsonReader(File(arguments.single()).readText()).read() as Map<*, *>
    val manifests = vectors["manifests"] as Map<*, *>
    for (test in vectors["cases"] as List<*>) {
        test as Map<*, *>
        val choice = choiceOf(test, manifestOf(manifests[test["manifest"]]))
        println("${test["name"]}\t${choice.variant}\t${choice.reason}")
    }
    for (refused in vectors["refused"] as List<*>) {
        try {
            readManifest(refused as String)
            println("accepted")
        } catch (_: IllegalArgumentException) {
            println("refused")
        }
    }
}
