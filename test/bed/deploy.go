// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed/images"
)

// DeploymentLog is what each pod of [PodSpec] logs.
const DeploymentLog = "serving\n"

// Deploy creates a Deployment of one pod in the default namespace, which does nothing but run. Its
// pod has the label app; the scheduler chooses its node. class is its RuntimeClass, empty for none.
func (c *Cluster) Deploy(ctx context.Context, app, class string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	selector, template := workload(app, class)
	_, err = client.AppsV1().Deployments(metav1.NamespaceDefault).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       appsv1.DeploymentSpec{Selector: selector, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating Deployment %s: %w", app, err)
	}
	return nil
}

// DeployEverywhere creates a DaemonSet of such a pod.
func (c *Cluster) DeployEverywhere(ctx context.Context, app string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	selector, template := workload(app, "")
	_, err = client.AppsV1().DaemonSets(metav1.NamespaceDefault).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       appsv1.DaemonSetSpec{Selector: selector, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating DaemonSet %s: %w", app, err)
	}
	return nil
}

func workload(app, class string) (*metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"app": app}
	return &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: PodSpec(class)}
}

// PodSpec is a pod that does nothing but run, and that needs the API server for nothing. class is
// its RuntimeClass, empty for none.
func PodSpec(class string) corev1.PodSpec {
	grace, token := int64(1), false
	spec := corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &token,
		Containers: []corev1.Container{{
			Name: "main", Image: images.Busybox, Command: []string{"sh", "-c", "echo serving; while sleep 60; do :; done"},
		}},
	}
	if class != "" {
		spec.RuntimeClassName = &class
	}
	return spec
}

// Undeploy deletes a Deployment and waits until its pod is gone.
func (c *Cluster) Undeploy(ctx context.Context, app string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	// In the foreground the garbage collector takes half a minute to see that its work is done.
	background := metav1.DeletePropagationBackground
	if err := client.AppsV1().Deployments(metav1.NamespaceDefault).Delete(ctx, app, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		return fmt.Errorf("deleting Deployment %s: %w", app, err)
	}
	return c.awaitNoPodOf(ctx, app)
}
