"""A WSGI application behind OpenStack's own auth_token filter, validated by the controller at argv[1].

Run by keystonemiddleware.rs; argv[2] is the administrator's password. Fails by an assertion.
"""

import datetime
import sys
import time

import requests
import webob
from keystonemiddleware import auth_token

ENDPOINT, ADMIN_PASSWORD = sys.argv[1:3]
URL = f"{ENDPOINT}/identity/v3"


def login(identity, scope=None):
    auth = {"identity": identity}
    if scope:
        auth["scope"] = {"project": {"name": scope, "domain": {"id": "default"}}}
    reply = requests.post(f"{URL}/auth/tokens", json={"auth": auth})
    assert reply.status_code == 201, reply.text
    return reply.headers["X-Subject-Token"]


def by_password(name, password, scope):
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    return login({"methods": ["password"], "password": {"user": user}}, scope)


ADMIN = by_password("admin", ADMIN_PASSWORD, "admin")


def call(method, path, body=None, token=ADMIN):
    reply = requests.request(method, URL + path, json=body, headers={"X-Auth-Token": token})
    assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text}"
    return reply.json() if reply.content else None


def tenant(name, role):
    """A project and a user in it, both of this name, which is the password too; the user's id."""
    project = call("POST", "/projects", {"project": {"name": name}})["project"]["id"]
    user = call("POST", "/users", {"user": {"name": name, "password": name}})["user"]["id"]
    role = call("GET", f"/roles?name={role}")["roles"][0]["id"]
    call("PUT", f"/projects/{project}/users/{user}/roles/{role}")
    return user


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ["HTTP_X_USER_ID", "HTTP_X_PROJECT_NAME", "HTTP_X_ROLES", "HTTP_X_SERVICE_ROLES"]
    return ["\n".join(environ.get(name, "") for name in names).encode()]


def protected():
    return auth_token.AuthProtocol(application, {
        "auth_type": "password",
        "auth_url": URL,
        "username": "nova",
        "password": "nova",
        "project_name": "nova",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "www_authenticate_uri": URL,
        "service_type": "compute",
        "service_token_roles": "service",
        "service_token_roles_required": "True",
        "token_cache_time": "-1",
        "log_name": "auth_token",
    })


def main():
    alice = tenant("alice", "member")
    tenant("nova", "service")
    app = protected()

    def ask(token, path="/v2.1/servers", service_token=None, **headers):
        request = webob.Request.blank(path, headers=headers)
        if token:
            request.headers["X-Auth-Token"] = token
        if service_token:
            request.headers["X-Service-Token"] = service_token
        return request.get_response(app)

    token = by_password("alice", "alice", "alice")
    nova = by_password("nova", "nova", "nova")
    answer = ask(token, **{"X-Roles": "admin", "X-User-Id": "forged"})
    assert answer.status_int == 200, answer
    user, project, roles, _ = answer.text.split("\n")
    assert (user, project) == (alice, "alice"), answer.text
    assert sorted(roles.split(",")) == ["member", "reader"], roles
    assert ask(token, service_token=nova).text.split("\n")[3] == "service"

    for bad in (None, "junk", token[:-8]):
        assert ask(bad).status_int == 401, bad
    assert ask(token, service_token="junk").status_int == 401

    reply = requests.delete(f"{URL}/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token})
    assert reply.status_code == 204, reply.text
    assert ask(token).status_int == 401, "revoked"
    token = by_password("alice", "alice", "alice")

    def robot(**fields):
        fields.setdefault("name", "robot")
        body = {"application_credential": fields}
        made = call("POST", f"/users/{alice}/application_credentials", body, token)["application_credential"]
        proof = {"id": made["id"], "secret": made["secret"]}
        return login({"methods": ["application_credential"], "application_credential": proof})

    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers/{server_id}"}]
    limited = robot(access_rules=rules)
    assert ask(limited, "/v2.1/servers/1").status_int == 200
    assert ask(limited, "/v2.1/flavors").status_int == 401
    assert ask(limited, "/v2.1/flavors", service_token=nova).status_int == 200, "a service passes it on"

    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    short = robot(name="short", expires_at=end.strftime("%Y-%m-%dT%H:%M:%S.%f"))
    assert ask(short).status_int == 200
    while datetime.datetime.now(datetime.timezone.utc) <= end:
        time.sleep(0.2)
    assert ask(short).status_int == 401, "expired"
    assert ask(short, service_token=nova).status_int == 200, "a service finishes what it began"


main()
