/**
 * Chooses among a model bundle's variants on a device. One file, to be vendored by an app;
 * Kotlin's standard library and nothing else.
 *
 * A variant is allowed where the device has what it requires. Of those allowed the policy
 * chooses: the first of its order that reaches minFps, or the fastest. Frames a second are
 * those measured for the device's class; probe measures them on the device itself.
 *
 *     val manifest = readManifest(textOfManifestJson)
 *     val choice = select(manifest, Device(abi = Build.SUPPORTED_ABIS[0], apiLevel = 34))
 */
package rules_quantize.model_selector

const val KIND = "rules_quantize.model_bundle"
const val FIRST_FAST_ENOUGH = "first_fast_enough"

/** Below this many runs a median says nothing, whatever the time allows. */
private const val LEAST_RUNS = 3

/** A clock may stand still. */
private const val MOST_RUNS = 1000

/**
 * What an app knows of the device that it runs on.
 *
 * @property abi such as "arm64-v8a".
 * @property apiLevel Android's.
 * @property ramMb of the device, in MiB.
 * @property delegates that the app can use, such as "xnnpack" or "gpu".
 * @property deviceClass as the measurements call it; empty where it is none of theirs.
 * @property runtime version of the app's TFLite or LiteRT; empty is new enough.
 */
data class Device(
    val abi: String = "",
    val apiLevel: Int = 0,
    val ramMb: Long = 0,
    val delegates: List<String> = emptyList(),
    val deviceClass: String = "",
    val runtime: String = "",
)

/**
 * A model of the bundle.
 *
 * @property abis the device's must be one of them; empty is any.
 * @property delegates one of them must be on the device; empty is any.
 * @property fps frames a second by class of device, as measured.
 */
data class Variant(
    val name: String,
    val file: String,
    val sha256: String,
    val bytes: Long,
    val abis: List<String>,
    val delegates: List<String>,
    val apiLevel: Int,
    val ramMb: Long,
    val minRuntime: String,
    val fps: Map<String, Double>,
)

/** What a bundle holds; [variants] are in the policy's order, the best first. */
data class Manifest(
    val name: String,
    val version: String,
    val variants: List<Variant>,
    val choose: String,
    val minFps: Double,
    val fallback: String,
)

/**
 * What was chosen.
 *
 * @property variant name of the variant; empty when the device may run none.
 * @property reason "fast_enough", "fastest", "fallback" or "none_allowed".
 */
data class Choice(val variant: String, val reason: String)

/** Reads JSON into Map, List, String, Double, Boolean and null. */
class JsonReader(private val text: String) {
    private var place = 0

    fun read(): Any? {
        val value = value(0)
        space()
        if (place != text.length) refuse()
        return value
    }

    private fun refuse(): Nothing = throw IllegalArgumentException("not JSON at $place")

    private fun space() {
        while (place < text.length && text[place] in " \t\r\n") place++
    }

    private fun peek(): Char {
        space()
        return if (place < text.length) text[place] else refuse()
    }

    private fun expect(word: String) {
        if (!text.startsWith(word, place)) refuse()
        place += word.length
    }

    private fun string(): String {
        expect("\"")
        val result = StringBuilder()
        while (place < text.length && text[place] != '"') {
            val character = text[place++]
            if (character < ' ') refuse()
            if (character != '\\') {
                result.append(character)
                continue
            }
            if (place == text.length) refuse()
            val escaped = text[place++]
            val simple = "\"\\/bfnrt".indexOf(escaped)
            if (simple >= 0) {
                result.append("\"\\/\b\u000C\n\r\t"[simple])
            } else if (escaped == 'u' && place + 4 <= text.length) {
                val digits = text.substring(place, place + 4)
                if (digits.any { Character.digit(it, 16) < 0 }) refuse()
                // Halves of a pair follow each other in Kotlin's strings as they do here.
                result.append(digits.toInt(16).toChar())
                place += 4
            } else {
                refuse()
            }
        }
        expect("\"")
        return result.toString()
    }

    private fun value(depth: Int): Any? {
        if (depth > 64) refuse()
        val next = peek()
        return when {
            next == '{' -> {
                val result = LinkedHashMap<String, Any?>()
                items('}') {
                    val name = string()
                    if (peek() != ':') refuse()
                    place++
                    result[name] = value(depth + 1)
                }
                result
            }
            next == '[' -> {
                val result = ArrayList<Any?>()
                items(']') { result.add(value(depth + 1)) }
                result
            }
            next == '"' -> string()
            next == 't' -> true.also { expect("true") }
            next == 'f' -> false.also { expect("false") }
            next == 'n' -> null.also { expect("null") }
            else -> number()
        }
    }

    private fun items(end: Char, item: () -> Unit) {
        place++
        while (peek() != end) {
            item()
            if (peek() == end) break
            expect(",")
            if (peek() == end) refuse()
        }
        place++
    }

    private fun number(): Double {
        val start = place
        while (place < text.length && text[place] in "+-.eE0123456789") place++
        return text.substring(start, place).toDoubleOrNull() ?: refuse()
    }
}

private class Fields(private val value: Any?) {
    private fun of(name: String): Any? {
        val fields = value as? Map<*, *>
        require(fields != null && fields.containsKey(name)) { "$name is missing" }
        return fields[name]
    }

    fun string(name: String): String =
        requireNotNull(of(name) as? String) { "$name is no string" }

    fun number(name: String): Double =
        requireNotNull(of(name) as? Double) { "$name is no number" }

    fun list(name: String): List<*> = requireNotNull(of(name) as? List<*>) { "$name is no list" }

    fun strings(name: String): List<String> = list(name).map { it as String }

    fun inner(name: String): Fields = Fields(of(name))

    fun numbers(): Map<String, Double> =
        (value as Map<*, *>).entries.associate { it.key as String to it.value as Double }
}

/**
 * Reads manifest.json of a bundle.
 *
 * @throws IllegalArgumentException when it is no manifest, or of a version not known here.
 */
fun readManifest(text: String): Manifest = manifestOf(JsonReader(text).read())

/** Makes a manifest of what [JsonReader] has read. */
fun manifestOf(json: Any?): Manifest {
    val document = Fields(json)
    require(document.string("kind") == KIND) { "not the manifest of a model bundle" }
    require(document.number("schema_version") == 1.0) { "schema_version is not known" }
    val policy = document.inner("policy")
    val byName = document.list("variants").map { entry ->
        val fields = Fields(entry)
        val requires = fields.inner("requires")
        Variant(
            name = fields.string("name"),
            file = fields.string("file"),
            sha256 = fields.string("sha256"),
            bytes = fields.number("bytes").toLong(),
            abis = requires.strings("abis"),
            delegates = requires.strings("delegates"),
            apiLevel = requires.number("api_level").toInt(),
            ramMb = requires.number("ram_mb").toLong(),
            minRuntime = requires.string("min_runtime"),
            fps = fields.inner("fps").numbers(),
        )
    }.associateBy { it.name }
    return Manifest(
        name = document.string("name"),
        version = document.string("version"),
        variants = policy.strings("order").map {
            requireNotNull(byName[it]) { "the policy's order names $it" }
        },
        choose = policy.string("choose"),
        minFps = policy.number("min_fps"),
        fallback = policy.string("fallback"),
    )
}

/** Says whether a version comes before another; parts that are missing are 0. */
private fun isOlder(one: String, other: String): Boolean {
    val first = one.split(".").map { it.toIntOrNull() ?: 0 }
    val second = other.split(".").map { it.toIntOrNull() ?: 0 }
    for (place in 0 until maxOf(first.size, second.size)) {
        val difference = first.getOrElse(place) { 0 } - second.getOrElse(place) { 0 }
        if (difference != 0) return difference < 0
    }
    return false
}

/** Gives the variants that a device may run, in the policy's order. */
fun allowed(manifest: Manifest, device: Device): List<Variant> = manifest.variants.filter {
    (it.abis.isEmpty() || device.abi in it.abis) &&
        (it.delegates.isEmpty() || it.delegates.any { name -> name in device.delegates }) &&
        it.apiLevel <= device.apiLevel &&
        it.ramMb <= device.ramMb &&
        (device.runtime.isEmpty() || !isOlder(device.runtime, it.minRuntime))
}

/** Chooses by the policy among [variants], of some of which the frames a second are known. */
fun choose(manifest: Manifest, variants: List<Variant>, fps: Map<String, Double>): Choice {
    if (variants.isEmpty()) return Choice("", "none_allowed")
    val known = variants.map { it.name }.filter { it in fps }
    if (manifest.choose == FIRST_FAST_ENOUGH) {
        known.firstOrNull { fps.getValue(it) >= manifest.minFps }
            ?.let { return Choice(it, "fast_enough") }
    }
    var fastest: String? = null
    // Of equals the first, which the policy likes better.
    for (name in known) {
        if (fastest == null || fps.getValue(name) > fps.getValue(fastest)) fastest = name
    }
    if (fastest != null) return Choice(fastest, "fastest")
    // The order ends with what runs anywhere.
    val fallback = variants.firstOrNull { it.name == manifest.fallback } ?: variants.last()
    return Choice(fallback.name, "fallback")
}

/** Chooses by what was measured for the device's class, without running anything. */
fun select(manifest: Manifest, device: Device): Choice {
    val variants = allowed(manifest, device)
    val measured = variants.filter { device.deviceClass in it.fps }
    return choose(
        manifest,
        variants,
        measured.associate { it.name to it.fps.getValue(device.deviceClass) },
    )
}

/**
 * Runs every allowed variant for a while, and chooses by what that takes. To be done once, at
 * the first start; keep the choice with the bundle's version.
 *
 * @param run runs a variant once, as the app will; false when it cannot be run. The first call
 *     of a variant is not measured: the app loads the model in it.
 * @param milliseconds for each variant; at least three runs are measured all the same,
 *     and at most a thousand.
 * @param now a clock in milliseconds.
 * @return the choice, and frames a second by variant, from the median of its runs.
 */
fun probe(
    manifest: Manifest,
    device: Device,
    milliseconds: Double = 200.0,
    now: () -> Double = { System.nanoTime() / 1e6 },
    run: (Variant) -> Boolean,
): Pair<Choice, Map<String, Double>> {
    val fps = LinkedHashMap<String, Double>()
    val runnable = allowed(manifest, device).filter { variant ->
        var runs = run(variant)
        val times = ArrayList<Double>()
        val begin = now()
        while (
            runs && times.size < MOST_RUNS &&
            (times.size < LEAST_RUNS || now() - begin < milliseconds)
        ) {
            val start = now()
            runs = run(variant)
            times.add(now() - start)
        }
        if (runs) {
            times.sort()
            val middle = times.size / 2
            val median =
                if (times.size % 2 == 1) times[middle] else (times[middle - 1] + times[middle]) / 2
            // A run shorter than the clock's step is as fast as can be told.
            fps[variant.name] = 1000 / maxOf(median, 1e-3)
        }
        runs
    }
    return choose(manifest, runnable, fps) to fps
}
