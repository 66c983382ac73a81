/**
 * Checks a folder that holds manifest.json, its signature and its files, given as FOLDER
 * PUBLIC_KEY MODEL ISSUED_MS, where the last is of what is in use. Prints "right", or why not.
 */
package rules_quantize.model_selector

import java.io.File

fun main(arguments: Array<String>) {
    val (folder, key, model, issuedMs) = arguments
    try {
        val release = readRelease(
            File(folder, "manifest.json").readBytes(),
            File(folder, "manifest.json.sig").readBytes(),
            File(key).readText(),
            model,
            Release(model, 1, issuedMs.toLong(), emptyList()),
        )
        release.files.forEach { file -> File(folder, file.name).inputStream().use(file::check) }
        println("right")
    } catch (refused: ReleaseRefused) {
        println(refused.message)
    }
}
