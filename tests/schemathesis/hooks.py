"""What schemathesis cannot know from the OpenAPI document: how to log in, and how a patch of an image is written."""

import json
import os

import requests
import schemathesis

# A call may end the token that it is made with; a login costs a hash, so not before each.
REFRESH_S = 5


@schemathesis.auth(refresh_interval=REFRESH_S)
class Login:
    def get(self, case, context):
        user = {"name": "admin", "domain": {"id": "default"}, "password": os.environ["ADMIN_PASSWORD"]}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        answer = requests.post(
            os.environ["ENDPOINT"] + "/v3/auth/tokens",
            json={"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "X-Auth-Token": data}


@schemathesis.serializer(
    "application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch"
)
def image_patch(context, value):
    return json.dumps(value).encode()
