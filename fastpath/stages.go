package fastpath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"
)

// programs are those of all hooks. The further ones of a hook, its stages, may be missing each on its own: what needs one
// stays in userspace.
type programs struct {
	xdp    relayPrograms
	xdpErr error // why there are no XDP programs
	tc     relayTCPrograms
	tcErr  error // why there is no tc program

	stagesTC *ebpf.Map
	missing  map[stageOf]error // why a stage is not there
}

// stageOf is a stage of a hook.
type stageOf struct {
	hook  Mode
	stage relayStage
}

// loadPrograms brings the programs into the kernel. One kind may fail; the error is kept for the reasons.
func (p *Plane) loadPrograms(xdp, tc *ebpf.CollectionSpec) error {
	p.missing = make(map[stageOf]error)
	var entry struct {
		Native  *ebpf.Program `ebpf:"relay_xdp"`
		Generic *ebpf.Program `ebpf:"relay_xdp_generic"`
	}
	if err := xdp.LoadAndAssign(&entry, p.shared(xdp)); err != nil {
		p.xdpErr = fmt.Errorf("load the XDP programs: %w", err)
	} else {
		p.xdp.RelayXdp, p.xdp.RelayXdpGeneric = entry.Native, entry.Generic
	}
	if err := p.loadTC(tc); err != nil {
		p.tcErr = fmt.Errorf("load the tc program: %w", err)
	}
	if p.xdpErr != nil && p.tcErr != nil {
		return errors.Join(p.xdpErr, p.tcErr)
	}
	p.loadStage(xdp, stageOf{XDP, relayStageSTAGE_FULL}, "full_xdp", p.maps.StagesXdp, 0, &p.xdp.FullXdp)
	p.loadStage(xdp, stageOf{XDPGeneric, relayStageSTAGE_FULL}, "full_xdp_generic", p.maps.StagesXdp,
		relayStageSTAGE_COUNT, &p.xdp.FullXdpGeneric)
	p.loadFan(xdp)
	p.loadStage(tc, stageOf{TC, relayStageSTAGE_FULL}, "full_tc", p.stagesTC, 0, &p.tc.FullTc)
	p.loadStage(tc, stageOf{TC, relayStageSTAGE_FAN}, "fan_tc", p.stagesTC, 0, &p.tc.FanTc)
	p.missing[stageOf{XDPGeneric, relayStageSTAGE_FAN}] = errors.New("generic XDP does not clone packets")
	return nil
}

// loadFan brings the two programs into the kernel that send to several receivers, by XDP.
func (p *Plane) loadFan(spec *ebpf.CollectionSpec) {
	of := stageOf{XDP, relayStageSTAGE_FAN}
	if p.xdpErr == nil {
		if p.xdp.FanXdpCopy, p.missing[of] = p.loadOne(spec, "fan_xdp_copy"); p.missing[of] != nil {
			p.log.Info("tc copies what XDP could", "program", "fan_xdp_copy", "why", explain(p.missing[of]))
			return
		}
		delete(p.missing, of)
	}
	p.loadStage(spec, of, "fan_xdp", p.maps.StagesXdp, 0, &p.xdp.FanXdp)
}

// shared has the programs of a file take the maps that are there.
func (p *Plane) shared(spec *ebpf.CollectionSpec) *ebpf.CollectionOptions {
	have := map[string]*ebpf.Map{
		relayMapFlows: p.maps.Flows, relayMapTargets: p.maps.Targets, relayMapPorts: p.maps.Ports, relayMapVlans: p.maps.Vlans,
		relayMapEgress: p.maps.Egress, relayMapFans: p.maps.Fans, relayMapFanSlots: p.maps.FanSlots, relayMapFanNumbers: p.maps.FanNumbers,
		relayMapExits: p.maps.Exits, relayMapTaps: p.maps.Taps, relayMapWorks: p.maps.Works, relayMapLife: p.maps.Life, relayMapStagesXdp: p.maps.StagesXdp,
	}
	if p.ciphers.Ciphers != nil {
		have[srtpMapCiphers], have[srtpMapSrtpBuffers] = p.ciphers.Ciphers, p.ciphers.SrtpBuffers
		have[srtpMapGhashTables] = p.ciphers.GhashTables
	}
	if p.stagesTC != nil {
		have[relayTCMapStagesTc] = p.stagesTC
	}
	maps.DeleteFunc(have, func(name string, _ *ebpf.Map) bool { return spec.Maps[name] == nil })
	return &ebpf.CollectionOptions{MapReplacements: have}
}

func (p *Plane) loadTC(tc *ebpf.CollectionSpec) error {
	own := p.pins.options(&ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{relayTCMapStagesTc: tc.Maps[relayTCMapStagesTc]}})
	if own == nil {
		own = new(ebpf.CollectionOptions)
	}
	own.MapReplacements = p.shared(tc).MapReplacements
	var entry struct {
		Relay  *ebpf.Program `ebpf:"relay_tc"`
		Stages *ebpf.Map     `ebpf:"stages_tc"`
	}
	if err := tc.LoadAndAssign(&entry, own); err != nil {
		return err
	}
	p.tc.RelayTc, p.stagesTC = entry.Relay, entry.Stages
	return nil
}

// loadStage brings one further program into the kernel and into the table of its hook.
func (p *Plane) loadStage(spec *ebpf.CollectionSpec, of stageOf, name string, table *ebpf.Map, base relayStage,
	to **ebpf.Program) {
	if table == nil {
		p.missing[of] = errors.New("there is no program before it")
		return
	}
	var err error
	if *to, err = p.loadOne(spec, name); err == nil {
		err = table.Update(uint32(base+of.stage), *to, ebpf.UpdateAny)
	}
	if err != nil {
		p.missing[of] = err
		p.log.Info("some flows stay in userspace", "program", name, "why", explain(err))
	}
}

func (p *Plane) loadOne(spec *ebpf.CollectionSpec, name string) (*ebpf.Program, error) {
	one := spec.Copy()
	maps.DeleteFunc(one.Programs, func(other string, _ *ebpf.ProgramSpec) bool { return other != name })
	loaded, err := ebpf.NewCollectionWithOptions(one, *p.shared(one))
	if err != nil {
		return nil, err
	}
	defer loaded.Close()
	return loaded.DetachProgram(name), nil
}

// able tells whether one of the hooks that serve the local address of f has the program it needs.
func (p *Plane) able(f *Flow) error {
	need := relayStageSTAGE_FULL
	switch {
	case f.simple():
		return nil
	case len(f.More) > 0:
		need = relayStageSTAGE_FAN
	case f.secure():
		need = relayStageSTAGE_SECURE
	}
	var errs []error
	for _, hook := range p.hooksOf(f.Local.Addr()) {
		switch err := p.missing[stageOf{hook, need}]; {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %s", hook, explain(err)))
		case f.Strip && hook == TC:
			errs = append(errs, errors.New("tc cannot take out header extensions"))
		case f.Strip && len(f.More) > 0:
			errs = append(errs, errors.New("header extensions are not taken out for several receivers"))
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrStage, errors.Join(errs...))
}

// hooksOf are those that a packet to local meets, one after the other.
func (p *Plane) hooksOf(local netip.Addr) []Mode {
	if p.tweaks.noAttach {
		return []Mode{XDP, TC, XDPGeneric}
	}
	d := p.deviceOf(local)
	if d == nil {
		return nil
	}
	switch d.Engine {
	case XDP:
		return []Mode{XDP, TC}
	case TC, XDPGeneric:
		return []Mode{d.Engine}
	}
	return nil
}

func (p *programs) close() error {
	errs := []error{p.stagesTC.Close()}
	for _, prog := range []*ebpf.Program{
		p.xdp.RelayXdp, p.xdp.RelayXdpGeneric, p.xdp.FullXdp, p.xdp.FullXdpGeneric, p.xdp.FanXdp, p.xdp.FanXdpCopy,
		p.tc.RelayTc, p.tc.FullTc, p.tc.FanTc,
	} {
		errs = append(errs, prog.Close())
	}
	return errors.Join(errs...)
}
