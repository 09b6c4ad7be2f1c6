"""The clients of OpenAI and Ollama as their packages are, and the requests of programs with others.

What LLM Vision (ha-llmvision), Frigate and PhotoPrism send is written down from their public source
as of 2026: the fields, their order, and which of them are there.
"""

import base64
import json
import time
import urllib.request
from urllib.error import HTTPError

import pytest

from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.standins import recognized
from tests.device.fakes.web_client import TOKEN, port_of
from tests.tiny import DEMO, TINY_BUNDLE

PHOTO = (DEMO / "cat.jpg").read_bytes()
BASE64 = base64.b64encode(PHOTO).decode()
DATA_URL = f"data:image/jpeg;base64,{BASE64}"
IMAGE_PART = {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}


@pytest.fixture(scope="module")
def caption():
    """What the small bundle says of the photograph, as a sentence."""
    from picaption.device.images import read_image

    caption = Recognizer(TINY_BUNDLE)(read_image(DEMO / "cat.jpg")).caption
    return f"{caption.hedged[0].upper()}{caption.hedged[1:]}."


def address(server, path=""):
    return f"http://127.0.0.1:{port_of(server)}{path}"


def post(server, path, body, **headers):
    """Return the JSON that a request with a JSON body is answered."""
    request = urllib.request.Request(
        address(server, path),
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"} | headers,
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def get_status(server, path, **headers):
    request = urllib.request.Request(address(server, path), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except HTTPError as error:
        return error.code


# --- OpenAI's own package


@pytest.fixture(scope="module")
def openai_client(answering):
    openai = pytest.importorskip("openai")
    base_url = address(answering, "/v1")
    with openai.OpenAI(api_key=TOKEN, base_url=base_url, max_retries=0) as client:
        yield client


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


def test_openai_describes_a_picture(openai_client, caption):
    answer = openai_client.chat.completions.create(
        model="picaption", messages=user({"type": "text", "text": "What is this?"}, IMAGE_PART)
    )
    choice = answer.choices[0]
    assert choice.message.content.startswith(caption) and choice.finish_reason == "stop"
    assert answer.model == "picaption" and answer.usage.completion_tokens > 0


def test_openai_streams(openai_client, caption):
    stream = openai_client.chat.completions.create(
        model="picaption",
        messages=user(IMAGE_PART),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith(caption) and chunks[-1].usage.total_tokens > 0


def test_openai_lists_models_and_has_responses(openai_client, caption):
    assert [model.id for model in openai_client.models.list()] == ["picaption"]
    assert openai_client.models.retrieve("picaption").owned_by == "picaption"
    content = [
        {"type": "input_text", "text": "Describe it."},
        {"type": "input_image", "image_url": DATA_URL},
    ]
    messages = [{"role": "user", "content": content}]
    response = openai_client.responses.create(model="picaption", input=messages)
    assert response.output_text.startswith(caption)


def test_openai_streams_responses(openai_client, caption):
    """As events, and by the client's own helper, which holds each against those before."""
    content = [{"type": "input_image", "image_url": DATA_URL}]
    messages = [{"role": "user", "content": content}]
    events = list(openai_client.responses.create(model="picaption", input=messages, stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    words = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(words) > 1 and "".join(words).startswith(caption)
    assert events[-1].response.output_text == "".join(words)
    with openai_client.responses.stream(model="picaption", input=messages) as stream:
        snapshots = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
        assert snapshots[-1] == stream.get_final_response().output_text == "".join(words)


def test_openai_raises_its_own_errors(openai_client, answering):
    import openai

    with pytest.raises(openai.NotFoundError, match="model 'gpt-4o' not found") as not_found:
        openai_client.chat.completions.create(model="gpt-4o", messages=user(IMAGE_PART))
    assert not_found.value.code == "not_found"
    bad = {"type": "image_url", "image_url": {"url": "http://elsewhere.example/a.jpg"}}
    with pytest.raises(openai.BadRequestError, match="is not a data URL"):
        openai_client.chat.completions.create(model="picaption", messages=user(bad))
    # A large body does not hide the refusal.
    large = {"type": "text", "text": "a" * 5_000_000}
    with (
        pytest.raises(openai.AuthenticationError, match="the token is missing or wrong"),
        openai.OpenAI(api_key="no", base_url=openai_client.base_url, max_retries=0) as stranger,
    ):
        stranger.chat.completions.create(model="picaption", messages=user(large))


def test_openai_gets_json_by_a_schema(openai_client):
    schema = {
        "type": "object",
        "properties": {"caption": {"type": "string"}, "cat_present": {"type": "boolean"}},
        "required": ["caption", "cat_present"],
        "additionalProperties": False,
    }
    answer = openai_client.chat.completions.create(
        model="picaption",
        messages=user(IMAGE_PART),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "scene", "schema": schema, "strict": True},
        },
    )
    form = json.loads(answer.choices[0].message.content)
    assert set(form) == {"caption", "cat_present"} and type(form["cat_present"]) is bool


# --- Ollama's own package


@pytest.fixture(scope="module")
def ollama_client(answering):
    ollama = pytest.importorskip("ollama")
    return ollama.Client(address(answering), headers={"Authorization": f"Bearer {TOKEN}"})


def test_ollama_describes_a_picture(ollama_client, caption):
    answer = ollama_client.generate("picaption", "What is this?", images=[PHOTO])
    assert answer.response.startswith(caption) and answer.done and answer.done_reason == "stop"
    answer = ollama_client.chat(
        "picaption", [{"role": "user", "content": "What is this?", "images": [PHOTO]}]
    )
    assert answer.message.content.startswith(caption)


def test_ollama_streams(ollama_client, caption):
    chunks = list(ollama_client.generate("picaption", "What?", images=[PHOTO], stream=True))
    assert "".join(chunk.response for chunk in chunks).startswith(caption) and chunks[-1].done
    messages = [{"role": "user", "content": "What?", "images": [PHOTO]}]
    chunks = list(ollama_client.chat("picaption", messages, stream=True))
    assert "".join(chunk.message.content for chunk in chunks).startswith(caption)


def test_ollama_lists_and_shows_the_model(ollama_client):
    (model,) = ollama_client.list().models
    assert model.model == "picaption:latest" and model.size == TINY_BUNDLE.stat().st_size
    assert "vision" in ollama_client.show("picaption").capabilities
    assert ollama_client.ps().models[0].model == "picaption:latest"


def test_ollama_raises_its_own_errors(ollama_client):
    import ollama

    with pytest.raises(ollama.ResponseError, match="model 'llava' not found") as error:
        ollama_client.generate("llava", "What?", images=[PHOTO])
    assert error.value.status_code == 404


# --- What other programs send


def test_llm_vision_by_custom_openai(answering, caption):
    """Its setup says Hi; an analysis has a tag before each picture, and then the prompt."""
    hello = {
        "model": "picaption",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    answering.write(recognized())
    assert post(answering, "/v1/chat/completions", hello)["choices"][0]["message"]["content"]
    analysis = {
        "model": "picaption",
        "messages": [
            {"role": "system", "content": "Your task is to analyze a series of images."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Image 1:"},
                    {"type": "image_url", "image_url": {"url": DATA_URL}},
                    {"type": "text", "text": "front_door frame 2:"},
                    {"type": "image_url", "image_url": {"url": DATA_URL}},
                    {"type": "text", "text": "Describe what you see."},
                ],
            },
        ],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
    }
    answer = post(answering, "/v1/chat/completions", analysis)
    assert answer["choices"][0]["message"]["content"].startswith(caption)
    structure = {
        "type": "object",
        "properties": {"description": {"type": "string"}},
        "additionalProperties": False,
    }
    form = {"name": "response", "schema": structure, "strict": True}
    analysis["response_format"] = {"type": "json_schema", "json_schema": form}
    content = post(answering, "/v1/chat/completions", analysis)["choices"][0]["message"]["content"]
    assert json.loads(content)["description"].startswith(caption)


def test_llm_vision_by_ollama(answering, caption):
    """It looks for the model list first, and sends a message for each picture."""
    assert get_status(answering, "/api/tags", Authorization=f"Bearer {TOKEN}") == 200
    request = {
        "model": "picaption",
        "messages": [
            {"role": "user", "content": "Image 1:", "images": [BASE64]},
            {"role": "user", "content": "Describe what you see."},
        ],
        "stream": False,
        "keep_alive": 5,
        "options": {"num_predict": 100, "temperature": 0.5, "num_ctx": 2048},
        "system": "Your task is to analyze a series of images.",
    }
    assert post(answering, "/api/chat", request)["message"]["content"].startswith(caption)


def test_frigate_by_openai(openai_client, caption):
    """It sends the prompt and then the thumbnails, with its timeout."""
    prompt = (
        "Analyze the sequence of images containing the cat. Focus on the likely intent or behavior "
        "of the cat based on its actions and movement, rather than describing its appearance."
    )
    answer = openai_client.chat.completions.create(
        model="picaption",
        messages=user({"type": "text", "text": prompt}, IMAGE_PART, IMAGE_PART, IMAGE_PART),
        timeout=60,
    )
    assert answer.choices[0].message.content.startswith(caption)


def test_frigate_by_ollama(ollama_client, caption):
    """It asks for the model, and then generates with options of its own."""
    assert not ollama_client.show("picaption").get("error")
    options = {"temperature": 0.5, "repeat_penalty": 1.05, "presence_penalty": 0.3}
    answer = ollama_client.generate("picaption", "Analyze it.", images=[PHOTO], options=options)
    assert str(answer["response"]).strip().startswith(caption)


def photoprism_request(**changes):
    values = {
        "id": "5e4ddde9-43ce-4e80-8c5c-3f0a4d2a1b7c",
        "model": "picaption:latest",
        "prompt": "Create a caption with exactly one sentence in the active voice.",
        "suffix": "",
        "options": {"temperature": 0.1},
        "stream": False,
        "images": [BASE64],
    }
    return values | changes


def test_photoprism_by_ollama(answering, caption):
    """A caption is the text itself; labels are the list of a JSON object."""
    answer = post(answering, "/api/generate", photoprism_request())
    assert answer["response"] == caption
    labels = photoprism_request(
        system="Output concise JSON that matches the schema.",
        prompt="Analyze the image and return label objects with name, confidence (0-1), and "
        "topicality (0-1).",
        format="json",
    )
    form = json.loads(post(answering, "/api/generate", labels)["response"])
    assert all(set(label) == {"name", "confidence"} for label in form["labels"])


def test_photoprism_by_openai(answering):
    """Labels come by the schema of its Responses request."""
    properties = {
        "name": {"type": "string", "minLength": 1},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "topicality": {"type": "number", "minimum": 0, "maximum": 1},
    }
    label = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"labels": {"type": "array", "items": label, "default": []}},
        "required": ["labels"],
        "additionalProperties": False,
    }
    request = {
        "model": "picaption",
        "input": [
            {
                "role": "system",
                "type": "message",
                "content": [{"type": "input_text", "text": "Output concise JSON."}],
            },
            {
                "role": "user",
                "type": "message",
                "content": [
                    {"type": "input_text", "text": "Analyze the image and return label objects."},
                    {"type": "input_image", "image_url": DATA_URL, "detail": "low"},
                ],
            },
        ],
        "text": {
            "format": {"type": "json_schema", "name": "labels", "schema": schema, "strict": True}
        },
        "max_output_tokens": 1024,
    }
    answer = post(answering, "/v1/responses", request)
    form = json.loads(answer["output"][0]["content"][0]["text"])
    assert all(set(entry) == set(properties) for entry in form["labels"])


# --- The picture that a request does not have


def test_without_a_picture_the_newest_frame_is_described(answering, ollama_client, caption):
    from picaption.device.images import read_image

    image = read_image(DEMO / "cat.jpg")
    time.sleep(1.1)  # A frame a second is copied.
    answering.write(recognized(image=image))
    answer = ollama_client.generate("picaption", "Create a caption for it.")
    assert answer.response == caption
