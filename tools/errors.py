"""The one exception type that a command shows to its user as a single line, and its codes."""

# What a program, a script of CI or a test tells one fault from another by: a message may be
# worded anew, a code stays. One line each of what it means; docs/reference/errors.md shows them.
CODES = {
    "benchmark.binary": "benchmark_model is of another processor, or too old for a flag",
    "benchmark.output": "what benchmark_model wrote holds no measurement that can be read",
    "build.failed": "a build that was started failed, or made something else than it should",
    "build.incomplete": "an execution log or a profile lacks actions that are needed",
    "bundle.damaged": "a bundle is truncated or damaged",
    "bundle.empty": "a bundle holds nothing, or no model",
    "bundle.field": "a field of a bundle's description is unknown, or of another type",
    "bundle.figures": "measured figures do not fit the bundle's variants",
    "bundle.kind": "a file is not the kind of bundle that is wanted",
    "bundle.member": "a member or variant is not in the bundle, or must be and is not",
    "bundle.name": "a name of a member or variant cannot be one, or is there twice",
    "bundle.policy": "a model bundle's policy cannot be followed",
    "bundle.too_large": "a bundle is over the size that a zip may have here",
    "bundle.unsafe": "a bundle is made so that reading it does harm",
    "bundle.unsupported": "a member is encrypted or compressed in a way that is not read",
    "conversion.failed": "TensorFlow or Keras refuses the model",
    "conversion.operator": "TFLite has no operator for one of the model's",
    "conversion.shape": "an input has no fixed shape, or the one that was given does not fit",
    "conversion.signature": "a signature is not there, or has to be named",
    "conversion.source": "not a SavedModel or a Keras file that holds a model",
    "data.label": "a label or a class is missing, or is none of the model's",
    "data.missing": "no images or arrays were given, or a folder holds none",
    "data.names": "arrays are not named as the model's inputs are",
    "data.overlap": "a test sample is a calibration sample too",
    "data.shape": "images or arrays have a shape or type that the model's inputs do not take",
    "data.too_few": "there are samples, and more are needed",
    "data.unreadable": "a file is not the image or the arrays that its name says",
    "data.value": "a sample holds NaN, infinite or too large values, or leads to them",
    "device.browser": "there is no browser on this machine to run a model in",
    "device.failed": "a device was there, and failed while it was used",
    "device.gone": "a device went away while it was used",
    "device.none": "there is no device, not the one that was named, or none was chosen of several",
    "device.not_ready": "a device is there, and does not let itself be used",
    "device.setting": "a device, or a setting of how it is used, is none that is known",
    "device.timeout": "a device or a command on it came to no end",
    "device.unsteady": "a device was too hot or too busy to be measured",
    "document.field": "a field of a JSON file is missing, or of another type",
    "document.kind": "a file is not the kind of document that is wanted",
    "document.other": "a document is of another artifact or model than the one given",
    "document.syntax": "a file is not JSON, or not TOML",
    "document.version": "a document has a schema_version that is not read here",
    "environment.index": "the package index cannot be reached or read",
    "environment.lock": "the packages of an environment cannot be locked or checked",
    "environment.project": "pyproject.toml says nothing that can be used",
    "environment.workspace": "a program that works in the source tree was not started by Bazel",
    "file.access": "the system refuses to read or write a file",
    "file.kind": "a file's ending is none that is read or written here",
    "file.missing": "a file or folder is not there",
    "file.no_folder": "the folder of an output is not there",
    "file.taken": "an output would take the place of another file, or lie in a folder that is read",
    "flag.conflict": "flags exclude each other, or one is there twice",
    "flag.missing": "a flag is needed that is not there",
    "flag.name": "a flag names something that is not known",
    "flag.usage": "the command line cannot be read",
    "flag.value": "a flag's value is not one that it takes",
    "gate.not_judged": "a gate cannot be judged by what the report holds",
    "gate.unknown": "there is no such gate, or nothing by a name that a gate's threshold has",
    "gate.value": "a gate's threshold means nothing",
    "model.damaged": "a model is truncated or damaged, or its graph is unsound",
    "model.empty": "a model has no outputs or operators, or a tensor that holds nothing",
    "model.interface": "a model's inputs or outputs are not those that are wanted",
    "model.kind": "a file is not a TFLite model",
    "model.metadata": "a model's metadata stands in the way of what is wanted",
    "model.not_master": "a model is not a float master",
    "model.other": "two models are not versions of one",
    "model.quantized": "a model is quantized already",
    "model.runtime": "the runtime cannot load or run a model",
    "model.too_large": "a model is over the size that a TFLite file may have",
    "model.type": "a tensor has a type that cannot be used",
    "model.unsupported": "a model holds something that nothing here can work on",
    "model.value": "a model holds or computes NaN or infinite values",
    "page.incomplete": "a page of the docs, or a docstring that it is made from, lacks something",
    "page.stale": "a file that is made from others is not current",
    "policy.alias": "a policy of promotion does not know the alias",
    "policy.field": "a promotion policy asks for something that is not known",
    "policy.missing": "there is no promotion policy",
    "recipe.field": "a recipe's entry has a field that is missing, unknown or of another type",
    "recipe.matches_none": "a recipe's entry matches no operator that it could quantize",
    "recipe.refused": "the quantizing library refuses the recipe",
    "registry.alias": "a model has no such alias, or the alias no holder before this one",
    "registry.changed": "a stored file is not the one that was registered",
    "registry.model": "a model is not registered",
    "registry.name": "a name is none that a model, version or alias can have",
    "registry.notify": "the command that is told of moves of aliases failed",
    "registry.version": "a model has no such version",
    "release.file": "a file is not the one of its manifest",
    "release.key": "a key cannot be used to sign or to check",
    "release.model": "a manifest is of another model",
    "release.older": "a manifest is older than that of what is in use",
    "release.signature": "a manifest is not signed by the key that is trusted",
    "runtime.version": "what should be a version of the runtime is none",
    "scheme.fits_none": "a scheme fits no operator that it is for",
    "scheme.larger": "quantizing would make the model larger",
    "scheme.needs_data": "a scheme needs calibration data",
    "scheme.unknown": "there is no such scheme",
    "scheme.unusable": "quantizing makes an artifact that cannot be used",
    "server.address": "an address or a port cannot be used",
    "server.failed": "MLflow's server did not start, or ended",
    "settings.conflict": "settings say two things about one",
    "settings.field": "settings lack a field, or have one that is not known",
    "settings.pattern": "a pattern is no regular expression, or matches nothing",
    "settings.syntax": "a settings file cannot be read",
    "settings.value": "a setting's value is not one that it takes",
    "statistics.damaged": "a file of activation statistics is damaged, or is none",
    "statistics.incomplete": "activation statistics lack samples",
    "statistics.other": "activation statistics are of another model, version or set of tensors",
    "store.busy": "another process writes to the store",
    "store.connection": "the way to the store refuses: certificate, proxy, limit or protocol",
    "store.copy": "the store cannot be copied before it is upgraded",
    "store.damaged": "the store's database is damaged",
    "store.empty": "nothing is registered in the store yet",
    "store.kind": "the store is of a kind that is not upgraded here",
    "store.lock": "the store cannot be locked",
    "store.newer": "the store's tables are of a newer MLflow",
    "store.older": "the store's tables are of an older MLflow",
    "store.refused": "the store answered, and refuses what was asked",
    "store.setting": "MLFLOW_TRACKING_URI names no store that keeps anything",
    "store.unavailable": "the store does not answer, or cannot just now",
    "task.field": "a task lacks a field, or has one that means nothing",
    "task.kind": "there is no such kind of task, or it is not the one that is wanted",
    "task.misfit": "a task does not fit the model's outputs",
    "training.model": "a model cannot be trained with quantizers",
}


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names what was wrong, where (target, file or
    tensor), and what to do about it. `tools.command_line.run` prints it and
    exits with status 2, without a traceback.

    Names in it come from files: what of them cannot be printed is shown as an escape.

    Attributes:
      code: which fault it is, of CODES.
      exit_status: what a command ends with.
    """

    exit_status = 2

    def __init__(self, code: str, message: str):
        """Keeps which fault it is, and what is said of it.

        Args:
          code: of CODES; another is a fault of the program.
          message: one line.
        """
        if code not in CODES:
            raise KeyError(code)
        self.code = code
        super().__init__(
            "".join(
                character if character.isprintable() else ascii(character)[1:-1]
                for character in message
            )
        )

    def __reduce__(self) -> tuple:
        # What is raised in another process comes back by its arguments, of which the message
        # alone is among Python's own.
        return type(self), (self.code, str(self))


class NoDeviceError(InputError):
    """There is no device to measure on, or none that may be used."""

    exit_status = 4


class DeviceFailedError(InputError):
    """A device was there, and failed while it was used; nothing is known of the model."""

    exit_status = 5
