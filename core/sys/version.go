package sys

// Version is the broker's version: semantic versioning, without a leading v.
const Version = "0.1.0"

// Description is what $SYS/brokers/<node>/sysdescr says.
const Description = "Dunlin MQTT broker"
