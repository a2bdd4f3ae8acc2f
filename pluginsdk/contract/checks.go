package contract

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
	"unsafe"
)

var (
	errLength = errors.New("wrong length")
	errText   = errors.New("not UTF-8 or longer than 65,535 bytes")
	errTopic  = errors.New("not a topic name")
	errFilter = errors.New("not a topic filter")
	errProps  = errors.New("malformed properties")

	errPending = errors.New("want a token and 1 to 60,000 ms")
)

const maxString = 65535 // of a UTF-8 string in MQTT [MQTT-1.5.4]

// checkExt validates the contents of one extension of a verdict about r.
func checkExt(x Ext, b []byte, r Record) error {
	switch x {
	case ExtText, ExtPrincipal, ExtTenant, ExtClientID:
		return want(validText(b), errText)
	case ExtAttributes:
		return checkPairs(b)
	case ExtPermissions:
		return checkPermissions(b)
	case ExtExpiresAt:
		return want(len(b) == 8, errLength)
	case ExtReply, ExtState:
		return want(len(b) <= maxString, errLength)
	case ExtTopic:
		return want(ValidTopic(b), errTopic)
	case ExtProps:
		return want(validPublishProps(b), errProps)
	case ExtFlags:
		return checkFlags(b, r.Flags())
	case ExtPending:
		return want(len(b) == 12 && binary.LittleEndian.Uint32(b[8:])-1 < MaxPending, errPending)
	case ExtExpiry, ExtThrottle:
		return want(len(b) == 4, errLength)
	case ExtPublishes:
		return checkPublishes(b)
	case ExtCodes:
		return checkCodes(b, r)
	case ExtFilters:
		return checkFilters(b, r)
	case ExtSubscriptions:
		return checkSubscriptions(b)
	case ExtLimits:
		return checkLimits(b)
	case ExtCacheFilter:
		return want(ValidFilter(b), errFilter)
	}
	return nil // ExtPayload: any bytes
}

func want(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// checkFlags refuses QoS 3, which the change may also make of two valid values.
func checkFlags(b []byte, old Flags) error {
	if len(b) != 8 {
		return errLength
	}
	mask := Flags(binary.LittleEndian.Uint32(b))
	value := Flags(binary.LittleEndian.Uint32(b[4:]))
	if mask&^(FlagQoS|FlagRetain) != 0 {
		return fault("flags may not change: ", uint32(mask))
	}
	return want((old&^mask|value&mask).QoS() <= 2, errors.New("QoS 3"))
}

// checkPublishes validates the records of further messages.
func checkPublishes(b []byte) error {
	for n := 0; len(b) > 0; n++ {
		r, rest, err := Split(b)
		if err != nil {
			return err
		}
		if err := CheckPublish(r); err != nil {
			return err
		}
		if n >= MaxRecords {
			return fault("more than ", MaxRecords, " messages")
		}
		b = rest
	}
	return nil
}

// CheckPublish validates a message that a plugin wants to publish, in
// ExtPublishes or through the host call: a publish record with a valid topic,
// QoS and properties.
func CheckPublish(r Record) error {
	if err := r.Check(); err != nil {
		return err
	}
	_, timed := r.Lookup(SlotExpiry)
	_, seconds := r.Uint32(SlotExpiry)
	switch {
	case r.Hook() != HookPublish:
		return fault(ErrFrame, ": hook ", uint32(r.Hook()), " is not publish")
	case !ValidTopic(r.Slot(SlotTopic)):
		return errTopic
	case r.Flags().QoS() > 2:
		return errors.New("QoS 3")
	case !validPublishProps(r.Slot(SlotProps)):
		return errProps
	case timed != seconds:
		return errLength
	}
	return nil
}

// checkCodes validates one code for each filter of the SUBSCRIBE or UNSUBSCRIBE.
func checkCodes(b []byte, r Record) error {
	if uint64(len(b)) != uint64(r.Aux()) {
		return fault(len(b), " codes for ", r.Aux(), " filters")
	}
	refusals := &hooks[HookUnsubscribe].reasons
	if r.Hook() == HookSubscribe {
		refusals = &hooks[HookSubscribe].reasons
	}
	for _, c := range b {
		granted := r.Hook() == HookSubscribe && c <= 2
		if c != KeepCode && !granted && !refusals.has(c) {
			return fault("code ", c)
		}
	}
	return nil
}

// checkFilters validates rewritten filters: as many as there were.
func checkFilters(b []byte, r Record) error {
	n := uint32(0)
	for f := range (FilterList{b, r.Hook() == HookSubscribe}).All {
		if !f.valid() {
			return errFilter
		}
		b = f.rest
		n++
	}
	if len(b) != 0 || n != r.Aux() {
		return fault(n, " filters for ", r.Aux(), ", ", len(b), " bytes left")
	}
	return nil
}

// valid tells whether filter and options are those of a SUBSCRIBE [MQTT-3.8.3-5].
func (f *FilterEntry) valid() bool {
	return ValidFilter(f.Filter) && f.Options&3 != 3 && f.Options&0xC0 == 0 && f.Options&0x30 != 0x30
}

// MaxSubscriptions is how many subscriptions one CONNECT may be given.
const MaxSubscriptions = 256

// checkSubscriptions validates subscriptions that the broker is to make.
func checkSubscriptions(b []byte) error {
	n := 0
	for f := range (FilterList{b, true}).All {
		if !f.valid() {
			return errFilter
		}
		b = f.rest
		n++
	}
	if len(b) != 0 || n > MaxSubscriptions {
		return fault(n, " subscriptions, at most ", MaxSubscriptions, ", ", len(b), " bytes left")
	}
	return nil
}

func checkLimits(b []byte) error {
	if len(b) != 16 {
		return errLength
	}
	l, _ := Verdict{}.Limits()
	l.ReceiveMax, l.PacketSize = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	l.KeepAlive = binary.LittleEndian.Uint32(b[8:])
	switch {
	case l.ReceiveMax == 0 || l.ReceiveMax > 65535 && l.ReceiveMax != KeepLimit:
		return fault("receive maximum ", l.ReceiveMax)
	case l.PacketSize == 0:
		return errors.New("maximum packet size 0")
	case l.KeepAlive > 65535 && l.KeepAlive != KeepLimit:
		return fault("keep alive ", l.KeepAlive)
	}
	return nil
}

// validText tells whether b may be a UTF-8 string of a packet [MQTT-1.5.4-1, -2].
func validText(b []byte) bool {
	return len(b) <= maxString && utf8.Valid(b) && !strings.Contains(view(b), "\x00")
}

// ValidTopic tells whether b is a topic name [MQTT-4.7.1-1, -4.7.3-1..3].
func ValidTopic(b []byte) bool {
	return len(b) > 0 && validText(b) && !strings.ContainsAny(view(b), "+#")
}

// ValidFilter tells whether b is a topic filter: wildcards stand alone in
// their level and # is the last one; the $share grammar is kept
// [MQTT-4.7.1-2, -3, -4.8.2-1, -2].
func ValidFilter(b []byte) bool {
	if len(b) == 0 || !validText(b) {
		return false
	}
	s := view(b)
	if rest, shared := strings.CutPrefix(s, "$share/"); shared {
		group, inner, ok := strings.Cut(rest, "/")
		if !ok || group == "" || strings.ContainsAny(group, "+#") || inner == "" {
			return false
		}
		s = inner
	}
	for i := range len(s) {
		if s[i] != '+' && s[i] != '#' {
			continue
		}
		before := i == 0 || s[i-1] == '/'
		last := i == len(s)-1
		after := last || s[i] == '+' && s[i+1] == '/'
		if !before || !after {
			return false
		}
	}
	return true
}

// view reads b as a string without a copy; the string dies with the call.
func view(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}
