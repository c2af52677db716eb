// How each agent is pointed here: what to type, or what to write where. `at` is this daemon's
// address, `key` the client key, `model` what to ask for.

export const AGENTS = [
  {
    name: "Claude Code",
    where: "Shell. Given like this, it wins over ~/.claude/settings.json.",
    text: ({ at, key }) => `claude --settings '{"env": {"ANTHROPIC_BASE_URL": "${at}", "ANTHROPIC_AUTH_TOKEN": "${key}"}}'`,
  },
  {
    name: "Codex",
    where: "~/.codex/proxypal.config.toml, then: codex --profile proxypal",
    text: ({ at, key, model }) => `model = "${model}"
model_provider = "proxypal"

[model_providers.proxypal]
name = "ProxyPal"
base_url = "${at}/v1"
wire_api = "responses"
experimental_bearer_token = "${key}"`,
  },
  {
    name: "OpenCode",
    where: "~/.config/opencode/opencode.json",
    text: ({ at, key, model }) => JSON.stringify(
      { provider: { proxypal: { npm: "@ai-sdk/openai-compatible", name: "ProxyPal", options: { baseURL: `${at}/v1`, apiKey: key }, models: { [model]: { name: model } } } }, model: `proxypal/${model}` },
      null,
      2,
    ),
  },
  {
    name: "Gemini CLI",
    where: "~/.gemini/.env; choose “Use Gemini API key” once",
    text: ({ at, key }) => `GOOGLE_GEMINI_BASE_URL=${at}\nGEMINI_API_KEY=${key}`,
  },
  {
    name: "Qwen Code",
    where: "Shell",
    text: ({ at, key, model }) => `qwen --auth-type openai --openai-base-url ${at}/v1 --openai-api-key ${key} -m ${model}`,
  },
  {
    name: "Copilot CLI",
    where: "Shell",
    text: ({ at, key, model }) => `COPILOT_PROVIDER_BASE_URL=${at}/v1 COPILOT_PROVIDER_API_KEY=${key} COPILOT_MODEL=${model} copilot`,
  },
  {
    name: "Droid",
    where: "~/.factory/settings.json, among customModels",
    text: ({ at, key, model }) => JSON.stringify({ model, displayName: `${model} (ProxyPal)`, baseUrl: `${at}/v1`, apiKey: key, provider: "generic-chat-completion-api" }, null, 2),
  },
  {
    name: "Cline",
    where: "Shell; in VS Code: provider “OpenAI Compatible”, with the same values",
    text: ({ at, key, model }) => `cline auth -p openai-compatible -b ${at}/v1 -k ${key} -m ${model}`,
  },
  {
    name: "Continue",
    where: "~/.continue/config.yaml, under models",
    text: ({ at, key, model }) => `- name: ProxyPal
  provider: openai
  model: ${model}
  apiBase: ${at}/v1
  apiKey: ${key}
  roles: [chat, edit, apply]`,
  },
  {
    name: "OpenClaw",
    where: "~/.openclaw/openclaw.json, under models.providers",
    text: ({ at, key, model }) => JSON.stringify({ proxypal: { baseUrl: `${at}/v1`, apiKey: key, api: "openai-completions", models: [{ id: model, name: model }] } }, null, 2),
  },
  {
    name: "Aider",
    where: "Shell",
    text: ({ at, key, model }) => `OPENAI_API_BASE=${at}/v1 OPENAI_API_KEY=${key} aider --model openai/${model}`,
  },
  {
    name: "Pi",
    where: "~/.pi/agent/models.json",
    text: ({ at, key, model }) => JSON.stringify({ providers: { proxypal: { baseUrl: `${at}/v1`, api: "openai-completions", apiKey: key, models: [{ id: model }] } } }, null, 2),
  },
  {
    name: "Any OpenAI SDK",
    where: "Python",
    text: ({ at, key, model }) => `from openai import OpenAI

client = OpenAI(base_url="${at}/v1", api_key="${key}")
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Hello?"}]
)`,
  },
  {
    name: "curl",
    where: "Shell",
    text: ({ at, key, model }) => `curl ${at}/v1/chat/completions -H "authorization: Bearer ${key}" \\
  -H "content-type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello?"}]}'`,
  },
];
