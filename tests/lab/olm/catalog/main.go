// validate-bundle BUNDLE CATALOG: would the two be taken?
//
// The bundle goes through what `operator-sdk bundle validate --select-optional suite=operatorframework` calls: the
// checks of operator-registry, and the validators of operator-framework/api, more of them than that suite has. A
// warning counts as an error. The catalog has to hold the bundle as `opm render` tells it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/template"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	validator "github.com/operator-framework/api/pkg/validation/interfaces"
	"github.com/operator-framework/operator-registry/alpha/action"
	"github.com/operator-framework/operator-registry/alpha/action/migrations"
	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"github.com/operator-framework/operator-registry/pkg/lib/bundle"
	"github.com/sirupsen/logrus"
)

var validators = []struct {
	name string
	validator.Validator
}{
	{"clusterserviceversion", validation.ClusterServiceVersionValidator},
	{"customresourcedefinition", validation.CustomResourceDefinitionValidator},
	{"bundle", validation.BundleValidator},
	{"object", validation.ObjectValidator},
	{"operatorhubv2", validation.OperatorHubV2Validator},
	{"capabilities", validation.StandardCapabilitiesValidator},
	{"categories", validation.StandardCategoriesValidator},
	{"alpha-deprecated-apis", validation.AlphaDeprecatedAPIsValidator},
	{"good-practices", validation.GoodPracticesValidator},
	{"community", validation.CommunityOperatorValidator},
	// Not multiarch: it has docker ask a registry which platforms the images are for.
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: validate-bundle BUNDLE CATALOG")
		os.Exit(2)
	}
	logrus.SetLevel(logrus.WarnLevel)
	wrong := append(checkBundle(os.Args[1]), checkCatalog(os.Args[1], os.Args[2])...)
	for _, each := range wrong {
		fmt.Fprintln(os.Stderr, "validate-bundle:", each)
	}
	if len(wrong) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%s: no error and no warning of %d validators; %s holds it as it is\n",
		os.Args[1], len(validators), os.Args[2])
}

func checkBundle(directory string) (wrong []error) {
	format := bundle.NewImageValidator(nil, logrus.NewEntry(logrus.StandardLogger()))
	if err := format.ValidateBundleFormat(directory); err != nil {
		wrong = append(wrong, fmt.Errorf("format: %w", err))
	}
	if err := format.ValidateBundleContent(filepath.Join(directory, "manifests")); err != nil {
		wrong = append(wrong, fmt.Errorf("content: %w", err))
	}
	loaded, err := manifests.GetBundleFromDir(directory)
	if err != nil {
		return append(wrong, fmt.Errorf("%s is no bundle: %w", directory, err))
	}
	if len(loaded.Channels) == 0 {
		wrong = append(wrong, errors.New("its channels were not read, so they were not validated"))
	}
	for _, each := range validators {
		results := each.Validate(loaded.ObjectsToValidate()...)
		if len(results) == 0 {
			wrong = append(wrong, fmt.Errorf("%s looked at nothing", each.name))
		}
		for _, result := range results {
			for _, found := range append(result.Errors, result.Warnings...) {
				wrong = append(wrong, fmt.Errorf("%s: %w", each.name, found))
			}
		}
	}
	return wrong
}

func checkCatalog(directory, catalog string) []error {
	config, err := declcfg.LoadFS(context.Background(), os.DirFS(catalog))
	if err != nil {
		return []error{fmt.Errorf("%s is no catalog: %w", catalog, err)}
	}
	if _, err := declcfg.ConvertToModel(*config); err != nil {
		return []error{fmt.Errorf("%s: %w", catalog, err)}
	}
	for _, held := range config.Bundles {
		rendered, err := render(directory, held.Image)
		if err != nil {
			return []error{fmt.Errorf("%s cannot be rendered: %w", directory, err)}
		}
		if held.Name != rendered.Name {
			continue
		}
		one, other := text(held), text(*rendered)
		if slices.Equal(one, other) {
			return nil
		}
		wrong := []error{fmt.Errorf("%s does not hold %s as opm renders it", catalog, held.Name)}
		for _, line := range one {
			if !slices.Contains(other, line) {
				wrong = append(wrong, fmt.Errorf("only in the catalog: %s", line))
			}
		}
		for _, line := range other {
			if !slices.Contains(one, line) {
				wrong = append(wrong, fmt.Errorf("only in what opm renders: %s", line))
			}
		}
		return wrong
	}
	return []error{fmt.Errorf("%s does not hold the bundle of %s", catalog, directory)}
}

func render(directory, image string) (*declcfg.Bundle, error) {
	all, err := migrations.NewMigrations(migrations.AllMigrations)
	if err != nil {
		return nil, err
	}
	// A directory does not know which image it will be.
	reference, err := template.New("image").Parse(image)
	if err != nil {
		return nil, err
	}
	render := action.Render{
		Refs:             []string{directory},
		Migrations:       all,
		ImageRefTemplate: reference,
		AllowedRefMask:   action.RefBundleDir,
	}
	config, err := render.Run(context.Background())
	if err != nil {
		return nil, err
	}
	if len(config.Bundles) != 1 {
		return nil, fmt.Errorf("%d bundles in it", len(config.Bundles))
	}
	return &config.Bundles[0], nil
}

// text is a line for the bundle, one for each property and one for each image, in alphabetical order: what stands in
// which order means nothing.
func text(bundle declcfg.Bundle) []string {
	lines := []string{bundle.Schema + " " + bundle.Package + " " + bundle.Name + " " + bundle.Image}
	for _, property := range bundle.Properties {
		var value any
		if err := json.Unmarshal(property.Value, &value); err != nil {
			value = err.Error()
		}
		plain, _ := json.Marshal(value) // of what was JSON before
		lines = append(lines, property.Type+" "+string(plain))
	}
	for _, image := range bundle.RelatedImages {
		lines = append(lines, "image "+image.Name+" "+image.Image)
	}
	slices.Sort(lines)
	return lines
}
