"""Checks the YAML of host/deploy: Kubernetes' own resources against the schemas of two of its versions, which refuse members that do not
exist, and all others against the schemas in this folder. With arguments, checks those files instead: what kustomize renders.

Not here: whether the names in them exist in Riad (`cargo xtask tidy`).
"""

import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore", category=DeprecationWarning)

import jsonschema
import kubernetes_validate
import referencing
import yaml

FOLDER = pathlib.Path(__file__).parent
# The oldest in which all members are there without a feature gate (`preStop.sleep`), and the newest that there are schemas of.
VERSIONS = ["1.30", "1.37"]
# By the beginning of `apiVersion`, and the kind.
OURS = {
    ("keda.sh", "ScaledObject"): "scaled-object.json",
    ("keda.sh", "TriggerAuthentication"): "trigger-authentication.json",
    ("gateway.networking.k8s.io", "HTTPRoute"): "http-route.json",
    ("kustomize.config.k8s.io", "Kustomization"): "kustomization.json",
    ("kustomize.config.k8s.io", "Component"): "kustomization.json",
}
# Whose files have no kind.
PROMETHEUS = "prometheus.json"


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's loader silently takes the last."""


def mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=deep) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"there twice: {', '.join(sorted(twice))}", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def schema(name, registry):
    content = json.loads((FOLDER / name).read_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content, registry=registry)


def faults(document, registry):
    """Each as a line."""
    kind, version = document.get("kind"), str(document.get("apiVersion", ""))
    name = OURS.get((version.split("/")[0], kind)) if kind else PROMETHEUS
    if name:
        found = schema(name, registry).iter_errors(document)
        return [f"{error.json_path}: {error.message}" for error in found]
    wrong = []
    for kubernetes in VERSIONS:
        try:
            kubernetes_validate.validate(document, kubernetes, strict=True)
        except kubernetes_validate.ValidationError as error:
            wrong.append(f"Kubernetes {kubernetes}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            wrong.append(f"Kubernetes {kubernetes} has no {version} {kind}: {error}")
    return wrong


def main(arguments):
    files = [pathlib.Path(name) for name in arguments] or sorted(FOLDER.parent.rglob("*.yaml"))
    metadata = referencing.Resource.from_contents(json.loads((FOLDER / "metadata.json").read_text()))
    registry = referencing.Registry().with_resource("metadata.json", metadata)
    documents, wrong = 0, []
    for file in files:
        try:
            found = list(yaml.load_all(file.read_text(), Strict))
        except yaml.YAMLError as error:
            wrong.append(f"{file}: is no YAML: {error}")
            continue
        for document in found:
            documents += 1
            if not isinstance(document, dict):
                wrong.append(f"{file}: document {documents} is no object")
                continue
            label = f"{document.get('kind', 'Prometheus')} {document.get('metadata', {}).get('name', '')}".strip()
            wrong += [f"{file}: {label}: {fault}" for fault in faults(document, registry)]
    if not documents:
        wrong.append("there is no YAML to check")
    print("\n".join(wrong or [f"{documents} documents of {len(files)} files are valid"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
