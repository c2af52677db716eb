"""Settings that cannot be, and what ``proxypal config check`` is asked to say of them."""

from itertools import pairwise

from tests.messages.commands import Typed


def _provider(text):
    return f'providers: [{{name: mine, dialect: gemini, base_url: "https://a.example", {text}}}]\n'


def _account(text):
    return f'accounts: [{{id: "openai:work", api_key: k, {text}}}]\n'


def _oauth(text):
    return _provider(f"oauth: {{client_id: x, {text}}}")


_KEYS = "client_keys: [{name: a, key: key-1}, {name: %s, key: %s}]\n"
_CHAIN = tuple(pairwise("abcdefgh"))
_SECURE = 'token_url: "https://a.example/token"'

TEXTS = {
    # ── a value of another kind ──
    "A setting is unknown, and like none": "colour: red\n",
    "A setting is no list": "models: fast\n",
    "A setting is no mapping": "listen: 8317\n",
    "A setting has no names": "backends: claude\n",
    "A setting is too small": "listen: {port: -1}\n",
    "A setting is too large": "listen: {port: 99999}\n",
    "A setting is empty that must not be": "cooldowns: {ladder: []}\n",
    "A setting is a number, not a word": "admin_key: 1234\n",
    "A setting is not given": "client_keys: [{key: key-1}]\n",
    "A variable has no name": 'network: {proxy: "${a-b}"}\n',
    # ── who may ask ──
    "Half of TLS is given": "listen: {tls: {cert: a.pem}}\n",
    "A client key is empty": 'client_keys: [{name: a, key: ""}]\n',
    "Two client keys are the same": _KEYS % ("b", "key-1"),
    "Two rows have the same name": _KEYS % ("a", "key-2"),
    "A key is one of an example": "client_keys: [{name: a, key: changeme}]\n",
    "A client key ends at no date": "client_keys: [{name: a, key: key-1, expires: soon}]\n",
    "The admin key is a client's": "admin_key: key-1\nclient_keys: [{name: a, key: key-1}]\n",
    # ── providers ──
    "A provider's name cannot be": _provider("").replace("mine", "a/b"),
    "A provider has its addresses twice": _provider('endpoints: {gemini: "https://a.example"}'),
    "A provider has no dialect": 'providers: [{name: mine, base_url: "https://a.example"}]\n',
    "A provider has a dialect and no address": "providers: [{name: openai, dialect: gemini}]\n",
    "A provider's address is none": "providers: [{name: mine, dialect: gemini, base_url: a}]\n",
    "A provider has another's name": _provider("aliases: [claude]"),
    "A provider's OAuth is not complete": _oauth('device_url: "https://a.example/device"'),
    "A provider's OAuth begins nowhere": _oauth(_SECURE),
    "A provider's OAuth is not over TLS": _oauth(_SECURE + ', device_url: "http://a.example"'),
    # ── accounts ──
    "An account's id has no name": "accounts: [{id: openai, api_key: k}]\n",
    "An account is of a provider nobody knows": 'accounts: [{id: "zzz:a", api_key: k}]\n',
    "An account's provider needs an address": 'accounts: [{id: "azure-openai:a", api_key: k}]\n',
    "An account has no key": 'accounts: [{id: "openai:work"}]\n',
    "An account's proxy is none": _account('proxy: "ftp://a.example"'),
    "An account's prefix cannot be": _account("prefix: Team"),
    "An account's prefix is a provider": _account("prefix: groq"),
    "An account's prefix is a route": _account("prefix: fast")
    + "models: [{name: fast, route: [openai/x]}]\n",
    # ── models and routing ──
    "A route has no name": 'models: [{name: "", route: [openai/x]}]\n',
    "A route's name has two stars": 'models: [{name: "a*b*", route: [openai/x]}]\n',
    "A route leads to a star without one": 'models: [{name: fast, route: ["openai/*"]}]\n',
    "An order is of no provider": 'routing: {order: {zzz: ["zzz:a"]}}\n',
    "An order in the settings has another's account": 'routing: {order: {openai: ["groq:a"]}}\n',
    "An order stands there twice": 'routing: {order: {anthropic: ["anthropic:a"], '
    'claude: ["anthropic:b"]}}\n',
    "A rule does not say what a failure means": "cooldowns: {rules: [{status: 500}]}\n",
    "A rule would fit every failure": "cooldowns: {rules: [{means: billing}]}\n",
    "A rule's expression is none": 'cooldowns: {rules: [{means: billing, text: "(a"}]}\n',
    "A rule's expression is too long": f"cooldowns: {{rules: [{{means: auth, text: {'a' * 500}}}]}}\n",
    # ── the rest ──
    "A plan is of nobody": "usage: {plans: [{name: pro}]}\n",
    "A plan's provider has another name": "usage: {plans: [{name: pro, provider: claude}]}\n",
    "Alerts go to no address": "alerts: {webhook: a}\n",
    "Shared state has no address": "state: {backend: redis}\n",
    "Shared state's address is none": "state: {backend: redis, url: 'http://a.example'}\n",
    "A tenant's name has a brace": (
        "state: {backend: redis, url: 'redis://127.0.0.1', tenant: 'a{b'}\n"
    ),
    "A backend has a provider's name": "backends: {groq: {command: a}}\n",
    "A backend's name cannot be": 'backends: {"A b": {command: a}}\n',
    "A backend's command is none": 'backends: {my-cli: {command: ""}}\n',
    "A backend has no command": "backends: {zzz: {}}\n",
    "A backend has an unknown key": "backends: {my-cli: {command: a, colour: red}}\n",
    "A backend prints in no known way": "backends: {my-cli: {command: a, jsonl_dialect: x}}\n",
    # ── YAML ──
    "An alias of YAML holds itself": "models: &a [*a]\n",
    "YAML is nested too deeply": f"models: {'[' * 200}{']' * 200}\n",
    "YAML's aliases unfold without end": "models: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"a{at}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for at, (a, b) in enumerate(_CHAIN)),
    "YAML has a tag": "models: !!python/name:a x\n",
    "YAML has a key that is no text": "[models]: x\n",
    "YAML has a key twice": "strict: true\nstrict: false\n",
}
CASES = {when: Typed("config check", settings=text) for when, text in TEXTS.items()}
