// Reads cases, a JSON list, from standard input and does a round trip with
// MQTT.js for each: connect, subscribe, publish, receive, unsubscribe, leave.
// Prints {"name", "error"} a line for each case.
'use strict'
const fs = require('fs')
const mqtt = require('mqtt')

const cases = JSON.parse(fs.readFileSync(0, 'utf8'))

function url (c) {
  const scheme = { tcp: 'mqtt', ssl: 'mqtts', ws: 'ws', wss: 'wss' }[c.transport]
  return `${scheme}://${c.host}:${c.port}` + (c.transport.startsWith('ws') ? '/mqtt' : '')
}

function options (c) {
  const o = {
    clientId: c.name,
    protocolVersion: c.version,
    reconnectPeriod: 0,
    connectTimeout: c.timeout * 1000
  }
  if (c.version === 3) o.protocolId = 'MQIsdp'
  if (c.username) Object.assign(o, { username: c.username, password: c.password })
  if (c.ca) o.ca = fs.readFileSync(c.ca)
  return o
}

async function roundTrip (c) {
  const topic = `js/${c.name}`
  const payload = Buffer.from(c.payload, 'base64')
  const client = await mqtt.connectAsync(url(c), options(c))
  const got = new Promise((resolve, reject) => {
    client.on('message', (topic, payload, packet) => resolve({ topic, payload, packet }))
    client.on('error', reject)
    client.on('close', () => reject(new Error('closed')))
    setTimeout(() => reject(new Error('no message')), c.timeout * 1000).unref()
  })
  got.catch(() => {})
  const granted = await client.subscribeAsync(topic, { qos: c.qos })
  if (granted[0].qos !== c.qos) throw new Error(`granted ${granted[0].qos}`)
  const properties = c.version === 5 ? { userProperties: { case: c.name }, contentType: 'bytes' } : undefined
  await client.publishAsync(topic, payload, { qos: c.qos, properties })
  const m = await got
  if (m.topic !== topic || !m.payload.equals(payload)) throw new Error(`got ${m.topic}, ${m.payload.length} bytes`)
  if (m.packet.qos !== c.qos) throw new Error(`came at QoS ${m.packet.qos}`)
  if (properties && m.packet.properties.userProperties.case !== c.name) throw new Error('user property is gone')
  await client.unsubscribeAsync(topic)
  await client.endAsync()
}

async function main () {
  for (const c of cases) {
    let error = ''
    try { await roundTrip(c) } catch (e) { error = String(e && e.message ? e.message : e) || 'failed' }
    console.log(JSON.stringify({ name: c.name, error }))
  }
  process.exit(0)
}

main()
