"""The exported interface of this name: `componentize-py` looks for its class `Filter` in a module that is called like the interface.
`@riad_sdk.postprocessing` puts it here."""
