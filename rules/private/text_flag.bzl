"""A setting that a command line or .bazelrc gives, as `--//registry:tracking_uri=...`."""

TextFlagInfo = provider(
    doc = "What a text_flag is set to.",
    fields = {"value": "string: empty where nothing is given."},
)

def _text_flag_impl(ctx):
    return [TextFlagInfo(value = ctx.build_setting_value)]

text_flag = rule(
    implementation = _text_flag_impl,
    doc = "A build setting that holds text.",
    build_setting = config.string(flag = True),
)
