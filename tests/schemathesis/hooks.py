"""Keys for Schemathesis: one for the operator's operations and one for a tenant's.

Among a tenant's operations are those that revoke its keys, and it would find its own in the list. So the tenant gets another key every
few seconds, from the operator, which no operation of a tenant can prevent.
"""

import json
import os
import urllib.request

import schemathesis

URL = os.environ["RIAD_URL"]
OPERATOR_KEY = os.environ["RIAD_OPERATOR_KEY"]
TENANT = os.environ["RIAD_TENANT"]
SECONDS = 2


def new_key():
    request = urllib.request.Request(
        f"{URL}/operator/v1/tenants/{TENANT}/keys",
        data=json.dumps({"name": "schemathesis"}).encode(),
        headers={"authorization": f"Bearer {OPERATOR_KEY}", "content-type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)["key"]


@schemathesis.auth(refresh_interval=SECONDS).apply_to(path_regex="^/v1/")
class TenantKey:
    def get(self, case, context):
        return new_key()

    def set(self, case, data, context):
        case.headers["authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=None).skip_for(path_regex="^/v1/")
class OperatorKey:
    def get(self, case, context):
        return OPERATOR_KEY

    def set(self, case, data, context):
        case.headers["authorization"] = f"Bearer {data}"


@schemathesis.serializer("application/wasm")
def component(context, value):
    """A component's bytes, as they are: what is generated is none."""
    return {"data": value if isinstance(value, bytes) else str(value).encode()}
