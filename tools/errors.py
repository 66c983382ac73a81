"""The one exception type that a command shows to its user as a single line, and its codes."""

# What a program, a script of CI or a test tells one fault from another by: a message may be
# worded again, a code stays. One line each of what it means; docs/reference/errors.md shows them.
CODES = {
    "benchmark.binary": "benchmark_model is for another processor, or too old for a flag",
    "benchmark.output": "the output of benchmark_model holds no measurement",
    "build.failed": "a build failed, or did not make what it should",
    "build.incomplete": "an execution log or a profile lacks actions",
    "bundle.damaged": "a bundle is truncated or damaged",
    "bundle.empty": "a bundle holds nothing, or no model",
    "bundle.field": "a field of a bundle's description is unknown, or has the wrong type",
    "bundle.figures": "measured figures do not fit the bundle's variants",
    "bundle.kind": "a file is another kind of bundle, or no bundle",
    "bundle.member": "a bundle lacks a member or variant, or has one that it must not have",
    "bundle.name": "the name of a member or variant is not allowed, or occurs twice",
    "bundle.policy": "the policy of a model bundle cannot be followed",
    "bundle.too_large": "a bundle is larger than a zip file may be",
    "bundle.unsafe": "reading a bundle would do harm, by its paths or sizes",
    "bundle.unsupported": "a member is encrypted, or compressed in an unknown way",
    "conversion.failed": "TensorFlow or Keras cannot convert the model",
    "conversion.operator": "TFLite lacks an operator that the model uses",
    "conversion.shape": "an input has no fixed shape, or the given shape does not fit",
    "conversion.signature": "a signature does not exist, or one of several must be named",
    "conversion.source": "a file is not a SavedModel or a Keras file with a model",
    "data.label": "a label or class is missing, or the model does not have it",
    "data.missing": "no images or arrays were given, or a folder holds none",
    "data.names": "the names of arrays are not those of the model's inputs",
    "data.overlap": "a test sample is also a calibration sample",
    "data.shape": "the model's inputs do not take images or arrays of this shape or type",
    "data.too_few": "there are too few samples",
    "data.unreadable": "a file cannot be read as an image or as arrays",
    "data.value": "a sample holds, or leads to, NaN, infinity or values that are too large",
    "device.browser": "this machine has no browser to run a model in",
    "device.failed": "a device failed while it was in use",
    "device.gone": "a device went away while it was in use",
    "device.held": "other programs hold all devices that may be used",
    "device.none": "no device is connected, or not the named one, or one of several must be named",
    "device.not_ready": "a device is connected, but cannot be used yet",
    "device.setting": "a device, or a setting of one, is not known",
    "device.timeout": "a device, or a command on it, did not end in time",
    "device.unsteady": "a device was too hot or too busy to measure",
    "document.field": "a field of a JSON file is missing, or has the wrong type",
    "document.kind": "a file is another kind of document",
    "document.other": "a document belongs to another artifact or model",
    "document.syntax": "a file is not valid JSON or TOML",
    "document.version": "a document has a schema_version that this program does not read",
    "environment.index": "the package index cannot be reached or read",
    "environment.lock": "the packages of an environment cannot be locked or checked",
    "environment.package": "a Python package that a command needs is not installed",
    "environment.project": "pyproject.toml lacks what is needed",
    "environment.workspace": "a program that changes the source tree was not started by Bazel",
    "file.access": "the system does not let the program read or write a file",
    "file.kind": "the ending of a file's name is not one that this program reads or writes",
    "file.missing": "a file or folder does not exist",
    "file.no_folder": "the folder of an output does not exist",
    "file.taken": "an output would replace another file, or lie in an input folder",
    "flag.conflict": "two flags exclude each other, or one is given twice",
    "flag.missing": "a flag is missing",
    "flag.name": "a flag names something that does not exist",
    "flag.usage": "the command line cannot be read",
    "flag.value": "a flag does not take this value",
    "gate.not_judged": "the report lacks what a gate needs",
    "gate.unknown": "there is no such gate, or a gate names an output or task that does not exist",
    "gate.value": "the threshold of a gate makes no sense",
    "model.damaged": "a model is truncated or damaged, or its graph is not valid",
    "model.empty": "a model has no outputs or operators, or an empty tensor",
    "model.interface": "a model does not have the expected inputs or outputs",
    "model.kind": "a file is not a TFLite model",
    "model.metadata": "the metadata of a model prevents this",
    "model.not_master": "a model is not a float master",
    "model.other": "two models are not forms of the same model",
    "model.quantized": "a model is already quantized",
    "model.runtime": "the runtime cannot load or run a model",
    "model.too_large": "a model is larger than a TFLite file may be",
    "model.type": "a tensor has a type that is not supported",
    "model.unsupported": "a model uses something that is not supported",
    "model.value": "a model holds or computes NaN or infinity",
    "page.incomplete": "a page of the docs, or its docstring, lacks something",
    "page.stale": "a generated file is not current",
    "policy.alias": "a promotion policy does not have the alias",
    "policy.field": "a promotion policy asks for something unknown",
    "policy.missing": "there is no promotion policy",
    "recipe.field": "a field of a recipe is missing, unknown or has the wrong type",
    "recipe.matches_none": "an entry of a recipe matches no operator that it can quantize",
    "recipe.refused": "litert-quantizer does not accept the recipe",
    "registry.alias": "a model does not have the alias, or the alias never pointed elsewhere",
    "registry.changed": "a stored file has changed since it was registered",
    "registry.model": "a model is not registered",
    "registry.name": "a model, version or alias cannot have this name",
    "registry.notify": "the command that hears of moved aliases failed",
    "registry.version": "a model does not have the version",
    "release.file": "a file is not the one that its manifest describes",
    "release.key": "a key cannot be used to sign or to verify",
    "release.model": "a manifest is for another model",
    "release.older": "a manifest is older than the one in use",
    "release.signature": "the trusted key did not sign a manifest",
    "runtime.version": "a version of the runtime is not valid",
    "scheme.fits_none": "a scheme fits none of the operators",
    "scheme.larger": "quantizing would make the model larger",
    "scheme.needs_data": "a scheme needs calibration data",
    "scheme.too_few_bits": "weights of few bits leave too little of the model",
    "scheme.unknown": "there is no such scheme",
    "scheme.unusable": "the artifact could not be used",
    "server.address": "an address or a port cannot be used",
    "server.failed": "MLflow's server did not start, or ended",
    "settings.conflict": "two settings contradict each other",
    "settings.field": "a settings file lacks a field, or has an unknown one",
    "settings.pattern": "a pattern is not a regular expression, or matches nothing",
    "settings.syntax": "a settings file cannot be read",
    "settings.value": "a setting does not take this value",
    "statistics.damaged": "a file of activation statistics is damaged, or is something else",
    "statistics.incomplete": "activation statistics lack samples",
    "statistics.other": "activation statistics belong to another model, version or set of tensors",
    "store.busy": "another process is writing to the store",
    "store.connection": "the connection to the store fails: certificate, proxy, limit or protocol",
    "store.copy": "the store could not be copied before its upgrade",
    "store.damaged": "the store's database is damaged",
    "store.empty": "nothing is registered in the store yet",
    "store.kind": "this program cannot upgrade a store of this kind",
    "store.lock": "the store cannot be locked",
    "store.newer": "the tables of the store belong to a newer MLflow",
    "store.older": "the tables of the store belong to an older MLflow",
    "store.refused": "the store answered, and refused the request",
    "store.setting": "MLFLOW_TRACKING_URI does not name a store that keeps records",
    "store.unavailable": "the store does not answer now",
    "task.field": "a task lacks a field, or has one that makes no sense",
    "task.kind": "there is no such kind of task, or another kind is needed",
    "task.misfit": "a task does not fit the model's outputs",
    "training.model": "the model cannot be trained with quantizers",
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
