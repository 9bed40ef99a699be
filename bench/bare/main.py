"""The least that a pushed hop can do: one get and one compare-and-set of the member's document, by bare requests, and 204."""

import base64
import json
import os
import secrets
import sys
from functools import cache
from typing import Any

import functions_framework
from flask import Request
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

OWNER = (("authorization", "Bearer owner"),)
LINE = json.dumps({"severity": "INFO", "message": "bare", "function": "bare", "status": 204}) + "\n"


@cache
def _client() -> Any:
    import grpc

    channel = grpc.insecure_channel(os.environ["FIRESTORE_EMULATOR_HOST"], options=[("grpc.enable_http_proxy", 0)])
    return FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))


@functions_framework.http
def bare(request: Request) -> tuple[str, int]:
    """One message, one document; whoever drives the benchmark counts lines."""
    message = json.loads(base64.b64decode(json.loads(request.get_data(cache=False))["message"]["data"]))
    database = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/databases/(default)"
    name = f"{database}/documents/progress/{message['progress_id']}"
    (answer,) = _client().batch_get_documents(
        types.BatchGetDocumentsRequest(database=database, documents=[name]), metadata=OWNER
    )
    write = types.Write.pb()(update=answer._pb.found)
    write.current_document.update_time.CopyFrom(write.update.update_time)
    write.update.fields["token"].string_value = secrets.token_hex(8)
    batch = types.BatchWriteRequest.pb()(database=database, writes=[write])
    _client().batch_write(types.BatchWriteRequest.wrap(batch), metadata=OWNER)
    sys.stdout.write(LINE)
    sys.stdout.flush()
    return "", 204
