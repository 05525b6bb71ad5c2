#!/usr/bin/env bash
# schemathesis: requests made from our OpenAPI document, well-formed and not, to a controller of their own. Whatever it
# sends, no answer may be a server's error, nor differ from what the document says.
#
#   tests/schemathesis/run.sh [CASES [SEED]]    CASES for each operation (3), made from SEED (47)
#
# With COVERAGE=1 also each boundary of each field that the document knows, about 50 cases for each operation. Prints
# what it found, with the command that does it again, and schemathesis's summary.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/own_controller.sh
. "$here/../own_controller.sh"
cases=${1:-3}
seed=${2:-47}
phases=fuzzing
[ -z "${COVERAGE:-}" ] || phases=coverage,fuzzing

start_controller
ADMIN_PASSWORD=$(<"$scratch/admin-password")
export ADMIN_PASSWORD ENDPOINT=$endpoint SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 NO_PROXY=127.0.0.1
# It keeps examples in its working folder.
cd "$scratch"
"$cache/schemathesis/bin/schemathesis" run "$endpoint/openapi.json" --phases "$phases" --max-examples "$cases" --seed "$seed" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --continue-on-failure --warnings off --no-color --output-truncate false
