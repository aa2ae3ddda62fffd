// Exercises the official client against the gateway whose base URL is the first argument; exits with 0 if all held.
import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { ResponsesWS } from 'openai/resources/responses/ws'

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'unused', maxRetries: 0 })
const model = 'demo'

async function collect(stream) {
  const events = []
  for await (const event of stream) events.push(event)
  return events
}

async function untilOver(id) {
  for (;;) {
    const response = await client.responses.retrieve(id)
    if (!['queued', 'in_progress'].includes(response.status)) return response
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const steps = {
  async 'a response, its follow-up, its items, its end'() {
    const first = await client.responses.create({ model, input: 'My name is Ada.' })
    const second = await client.responses.create({
      model, input: 'What is my name?', previous_response_id: first.id,
    })
    assert.equal(second.output_text, 'Your name is Ada.')
    const items = await collect(await client.responses.inputItems.list(first.id))
    assert.equal(items[0].content[0].text, 'My name is Ada.')
    await client.responses.delete(first.id)
    await assert.rejects(client.responses.retrieve(first.id), { status: 404 })
  },

  async 'a stream and its helper'() {
    const events = await collect(await client.responses.create({ model, input: 'hi', stream: true }))
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, place) => place))
    assert.equal(events.at(-1).type, 'response.completed')
    const final = await client.responses.stream({ model, input: 'What is 2+2?' }).finalResponse()
    assert.equal(final.output_text, '2+2 is 4.')
  },

  async 'structured output'() {
    const schema = {
      type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false,
    }
    const format = { type: 'json_schema', name: 'place', schema, strict: true }
    const answer = await client.responses.parse({ model, input: 'I live in Rome', text: { format } })
    assert.equal(typeof JSON.parse(answer.output_text).city, 'string')
  },

  async 'a background response, resumed and cancelled'() {
    const queued = await client.responses.create({ model, input: 'What is 2+2?', background: true })
    assert.equal(queued.status, 'queued')
    assert.equal((await untilOver(queued.id)).output_text, '2+2 is 4.')
    const stream = await client.responses.create({
      model, input: 'hi', background: true, stream: true, demo_script: { tokens: 30, tokens_per_second: 30 },
    })
    const seen = []
    for await (const event of stream) {
      seen.push(event)
      if (seen.length === 6) break
    }
    const { id } = seen[0].response
    const rest = await collect(await client.responses.retrieve(id, { stream: true, starting_after: 5 }))
    assert.deepEqual([...seen, ...rest].map((event) => event.sequence_number), [...Array(6 + rest.length).keys()])
    const long = await client.responses.create({
      model, input: 'hi', background: true, demo_script: { tokens: 500, tokens_per_second: 20 },
    })
    assert.equal((await client.responses.cancel(long.id)).status, 'cancelled')
  },

  async 'conversations'() {
    const made = await client.conversations.create({ metadata: { a: 'b' } })
    const items = [{ type: 'message', role: 'user', content: 'My name is Ada.' }]
    const added = await client.conversations.items.create(made.id, { items })
    const answer = await client.responses.create({ model, input: 'What is my name?', conversation: made.id })
    assert.equal(answer.output_text, 'Your name is Ada.')
    assert.equal((await collect(await client.conversations.items.list(made.id, { limit: 2 }))).length, 3)
    const itemId = added.data[0].id
    assert.equal((await client.conversations.items.retrieve(itemId, { conversation_id: made.id })).id, itemId)
    await client.conversations.items.delete(itemId, { conversation_id: made.id })
    assert.deepEqual((await client.conversations.update(made.id, { metadata: {} })).metadata, {})
    assert.equal((await client.conversations.retrieve(made.id)).id, made.id)
    assert.equal((await client.conversations.delete(made.id)).deleted, true)
  },

  async 'compaction and counting'() {
    const window = await client.responses.compact({ model, input: 'My name is Ada.' })
    assert.equal(window.output.at(-1).type, 'compaction')
    const answer = await client.responses.create({ model, input: [...window.output, { role: 'user', content: 'hi' }] })
    assert.equal(answer.status, 'completed')
    assert.ok((await client.responses.inputTokens.count({ model, input: 'hi' })).input_tokens > 0)
  },

  async 'a socket'() {
    const socket = new ResponsesWS(client)
    const text = await new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('response.completed', (event) => resolve(event.response.output[0].content[0].text))
      socket.send({ type: 'response.create', model, input: 'What is 2+2?' })
    })
    assert.equal(text, '2+2 is 4.')
    socket.close()
  },

  async 'chat completions and embeddings'() {
    const messages = [{ role: 'user', content: 'What is 2+2?' }]
    const answer = await client.chat.completions.create({ model, messages })
    assert.equal(answer.choices[0].message.content, '2+2 is 4.')
    const chunks = await collect(await client.chat.completions.create({ model, messages, stream: true }))
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join(''), '2+2 is 4.')
    const made = await client.embeddings.create({ model, input: ['tea', 'coffee'], dimensions: 8 })
    assert.deepEqual(made.data.map((each) => each.embedding.length), [8, 8])
    assert.equal((await client.completions.create({ model, prompt: 'Once' })).choices[0].text, ' Once')
  },
}

for (const [name, step] of Object.entries(steps)) {
  await step()
  console.log(`ok ${name}`)
}
