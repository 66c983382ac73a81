/**
 * Checks a release that an app downloads, as `registry:fetch --manifest --signing_key` writes it:
 * the Ed25519 signature over the manifest, its age, and each file's size and SHA-256. To be
 * vendored beside ModelSelector.kt. It needs Android 13 or Java 15, which have Ed25519.
 *
 *     val release = readRelease(manifestBytes, signatureBytes, PUBLIC_KEY_PEM, "face", installed)
 *     release.files.forEach { file -> File(folder, file.name).inputStream().use(file::check) }
 */
package rules_quantize.model_selector

import java.io.InputStream
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.MessageDigest
import java.security.Signature
import java.security.spec.X509EncodedKeySpec
import java.util.Base64

const val RELEASE_KIND = "rules_quantize.release_manifest"

/** A release that must not be used; the message says why. */
class ReleaseRefused(message: String) : Exception(message)

/** A file of a release, which lies beside its manifest. */
data class ReleasedFile(val name: String, val bytes: Long, val sha256: String) {
    /**
     * Reads a file to its end and compares it.
     *
     * @throws ReleaseRefused when its size or its SHA-256 is another.
     */
    fun check(content: InputStream) {
        val digest = MessageDigest.getInstance("SHA-256")
        val buffer = ByteArray(1 shl 16)
        var size = 0L
        while (true) {
            val count = content.read(buffer)
            if (count < 0) break
            digest.update(buffer, 0, count)
            size += count
        }
        if (size != bytes) throw ReleaseRefused("$name has $size bytes, released were $bytes")
        val found = digest.digest().joinToString("") { "%02x".format(it) }
        if (found != sha256) throw ReleaseRefused("$name is not the file that was released")
    }
}

/**
 * What a manifest says.
 *
 * @property issuedMs when the version became this release, in milliseconds since 1970.
 */
data class Release(
    val model: String,
    val version: Long,
    val issuedMs: Long,
    val files: List<ReleasedFile>,
)

/**
 * Reads a manifest after its signature was found right.
 *
 * @param manifest the file's bytes.
 * @param signature the bytes of the .sig file beside it.
 * @param publicKeyPem of whom to trust, as `openssl pkey -pubout` writes it.
 * @param model the model that is wanted.
 * @param installed what is in use, or null; an older release is refused.
 * @throws ReleaseRefused when it must not be used.
 */
fun readRelease(
    manifest: ByteArray,
    signature: ByteArray,
    publicKeyPem: String,
    model: String,
    installed: Release? = null,
): Release {
    if (!isSigned(manifest, signature, publicKeyPem)) {
        throw ReleaseRefused("the manifest is not signed by the key that is trusted")
    }
    val release = try {
        releaseOf(JsonReader(manifest.decodeToString()).read() as Map<*, *>)
    } catch (error: RuntimeException) {
        throw ReleaseRefused("not the manifest of a release: ${error.message}")
    }
    if (release.model != model) throw ReleaseRefused("it is of the model ${release.model}")
    if (installed != null && release.issuedMs < installed.issuedMs) {
        throw ReleaseRefused("version ${release.version} is older than what is in use")
    }
    return release
}

private fun isSigned(manifest: ByteArray, signature: ByteArray, publicKeyPem: String): Boolean {
    val base64 = publicKeyPem.lines().filterNot { it.startsWith("-----") }.joinToString("")
    return try {
        val key = X509EncodedKeySpec(Base64.getMimeDecoder().decode(base64))
        val verifier = Signature.getInstance("Ed25519")
        verifier.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(key))
        verifier.update(manifest)
        verifier.verify(signature)
    } catch (_: GeneralSecurityException) {
        false
    }
}

private fun releaseOf(json: Map<*, *>): Release {
    require(json["kind"] == RELEASE_KIND && json["schema_version"] == 1.0) { "of another kind" }
    return Release(
        model = json["model"] as String,
        version = (json["version"] as Double).toLong(),
        issuedMs = (json["issued_ms"] as Double).toLong(),
        files = (json["files"] as List<*>).map {
            val file = it as Map<*, *>
            val name = file["name"] as String
            require(name.none { it == '/' || it == '\\' || it < ' ' }) { "$name is no file's name" }
            ReleasedFile(name, (file["bytes"] as Double).toLong(), file["sha256"] as String)
        },
    )
}
